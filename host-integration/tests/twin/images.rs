//! The versions of the component, and images that are none.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use inhost_testbed::ImageRegistry;

/// How long the registry takes to describe the slow image.
pub(crate) const SLOW: Duration = Duration::from_millis(400);

/// What the component is started from or updated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Image {
    V1,
    V2,
    /// As `V2`, from a registry that takes its time.
    Slow,
    /// Without `note`.
    Less,
    /// Has its functions in another version of the interface.
    Bumped,
    /// There is no such file.
    Missing,
    /// A file that is no component.
    Text,
    /// An empty file.
    Empty,
}

impl Image {
    pub(crate) const ALL: [Self; 8] = [
        Self::V1,
        Self::V2,
        Self::Slow,
        Self::Less,
        Self::Bumped,
        Self::Missing,
        Self::Text,
        Self::Empty,
    ];

    /// What its `version` answers; `None` when it cannot be loaded.
    pub(crate) fn version(self) -> Option<u32> {
        match self {
            Self::V1 => Some(1),
            Self::V2 => Some(2),
            Self::Slow => Some(3),
            Self::Less => Some(4),
            Self::Bumped => Some(5),
            Self::Missing | Self::Text | Self::Empty => None,
        }
    }

    pub(crate) fn loads(self) -> bool {
        self.version().is_some()
    }

    /// Whether it has `version` of the interface that callers know.
    pub(crate) fn has_version(self) -> bool {
        self.loads() && self != Self::Bumped
    }

    /// Whether it has `note` of that interface.
    pub(crate) fn has_note(self) -> bool {
        self.has_version() && self != Self::Less
    }

    /// The component that has `version`, as text.
    fn wat(version: u32, interface: &str, note: &str) -> String {
        format!(
            r#"(component
                 (import "inhost:demo/tally@0.1.0"
                   (instance $tally (export "add" (func (param "id" u64) (result u64)))))
                 (core func $add (canon lower (func $tally "add")))
                 (core module $module
                   (import "tally" "add" (func $add (param i64) (result i64)))
                   (func (export "version") (result i32) i32.const {version})
                   (func (export "note") (param i64) local.get 0 call $add drop))
                 (core instance $instance
                   (instantiate $module (with "tally" (instance (export "add" (func $add))))))
                 (func $version (result u32) (canon lift (core func $instance "version")))
                 (func $note (param "id" u64) (canon lift (core func $instance "note")))
                 (instance $exports (export "version" (func $version)) {note})
                 (export "{interface}" (instance $exports)))"#
        )
    }

    fn bytes(self) -> anyhow::Result<Option<Vec<u8>>> {
        const NOTE: &str = r#"(export "note" (func $note))"#;
        let Some(version) = self.version() else {
            return Ok(match self {
                Self::Text => Some(b"this is no component".to_vec()),
                Self::Empty => Some(Vec::new()),
                _ => None,
            });
        };
        let text = match self {
            Self::Bumped => Self::wat(version, BUMPED, NOTE),
            Self::Less => Self::wat(version, inhost_testbed::ECHO, ""),
            _ => Self::wat(version, inhost_testbed::ECHO, NOTE),
        };
        wat::parse_str(text)
            .map(Some)
            .context("the component's text")
    }
}

/// The interface of [`Image::Bumped`].
pub(crate) const BUMPED: &str = "inhost:demo/echo@0.2.0";

/// Where the images are. Both hosts have them from here.
pub(crate) struct Images {
    references: Vec<(Image, String)>,
    pub(crate) registry: ImageRegistry,
    _files: tempfile::TempDir,
}

impl Images {
    pub(crate) async fn make() -> anyhow::Result<Self> {
        let files = tempfile::Builder::new().prefix("inhost-twin-").tempdir()?;
        let registry = ImageRegistry::serve().await?;
        let mut references = Vec::new();
        for image in Image::ALL {
            let bytes = image.bytes()?;
            let reference = match (image, bytes) {
                (Image::Slow, Some(bytes)) => registry.put("slow", bytes, SLOW),
                (_, bytes) => file(files.path(), image, bytes)?,
            };
            references.push((image, reference));
        }
        Ok(Self {
            references,
            registry,
            _files: files,
        })
    }

    pub(crate) fn reference(&self, image: Image) -> &str {
        let found = self.references.iter().find(|(it, _)| *it == image);
        &found.expect("each has one").1
    }

    pub(crate) fn image(&self, reference: &str) -> Option<Image> {
        let found = self.references.iter().find(|(_, it)| it == reference);
        found.map(|(image, _)| *image)
    }
}

fn file(folder: &Path, image: Image, bytes: Option<Vec<u8>>) -> anyhow::Result<String> {
    let path = folder.join(format!("{image}.wasm"));
    if let Some(bytes) = bytes {
        std::fs::write(&path, bytes)?;
    }
    Ok(format!("file://{}", path.display()))
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Slow => "slow",
            Self::Less => "less",
            Self::Bumped => "bumped",
            Self::Missing => "missing",
            Self::Text => "text",
            Self::Empty => "empty",
        })
    }
}

impl FromStr for Image {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|it| it.to_string() == text);
        found.with_context(|| format!("{text:?} is no image"))
    }
}
