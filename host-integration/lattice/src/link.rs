//! Which component answers the imports of which.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::client::Client;

/// The name of a link that was not given one, as in wasmCloud.
pub const DEFAULT_LINK: &str = "default";

/// A link: calls that `source` makes of an interface go to `target`.
///
/// As text, for a command line, it is `SOURCE=TARGET:NAMESPACE:PACKAGE/INTERFACE`, with `@VERSION`
/// and then `,name=NAME` behind it where they are wanted.
///
/// ```
/// use inhost_lattice::Link;
///
/// let link = Link::new("caller", "callee", "inhost:demo/echo");
/// assert_eq!("caller=callee:inhost:demo/echo".parse(), Ok(link.clone()));
/// assert_eq!("caller=callee:inhost:demo/echo,name=backup".parse(), Ok(link.named("backup")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) interface: String,
    pub(crate) name: String,
}

/// What is wrong with a link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLink {
    /// The text has another form.
    #[error(
        "`{0}` is no link: write SOURCE=TARGET:NAMESPACE:PACKAGE/INTERFACE, such as `caller=callee:inhost:demo/echo`"
    )]
    Form(String),
    /// The interface has another form.
    #[error(
        "`{0}` is no interface: write NAMESPACE:PACKAGE/INTERFACE or NAMESPACE:PACKAGE/INTERFACE@VERSION, such as \
         `inhost:demo/echo`"
    )]
    Interface(String),
}

impl Link {
    /// Calls that the component `source` makes of `interface` go to the component `target`.
    ///
    /// `interface` is `namespace:package/interface`. Without a version it stands for all versions
    /// that `source` imports and have no link of their own; with one, such as
    /// `inhost:demo/echo@0.1.0`, for that version only. What it says is checked when the lattice is
    /// built.
    pub fn new(
        source: impl Into<String>,
        target: impl Into<String>,
        interface: impl Into<String>,
    ) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            interface: interface.into(),
            name: DEFAULT_LINK.into(),
        }
    }

    /// The same link under a name, which `source` chooses with `set-link-name` of `wasmcloud:bus/lattice`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn check(&self) -> Result<(), InvalidLink> {
        match is_interface(&self.interface) {
            true => Ok(()),
            false => Err(InvalidLink::Interface(self.interface.clone())),
        }
    }
}

impl FromStr for Link {
    type Err = InvalidLink;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ends, name) = match text.rsplit_once(",name=") {
            Some((ends, name)) => (ends, name),
            None => (text, DEFAULT_LINK),
        };
        let parts = ends
            .split_once('=')
            .and_then(|(source, rest)| Some((source, rest.split_once(':')?)))
            .filter(|(source, (target, _))| {
                ![source, target, name].iter().any(|part| part.is_empty())
            });
        let Some((source, (target, interface))) = parts else {
            return Err(InvalidLink::Form(text.into()));
        };
        let link = Self::new(source, target, interface).named(name);
        link.check()?;
        Ok(link)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            target,
            interface,
            name,
        } = self;
        write!(f, "{source}={target}:{interface}")?;
        match name.as_str() {
            DEFAULT_LINK => Ok(()),
            name => write!(f, ",name={name}"),
        }
    }
}

/// Whether `text` is `namespace:package/interface`, with or without `@version`.
fn is_interface(text: &str) -> bool {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let parts = name
        .split_once(':')
        .and_then(|(namespace, rest)| Some((namespace, rest.split_once('/')?)));
    let Some((namespace, (package, interface))) = parts else {
        return false;
    };
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    [namespace, package, interface].into_iter().all(is_name) && version != Some("")
}

/// The interface without its version.
pub(crate) fn without_version(interface: &str) -> &str {
    interface
        .split_once('@')
        .map_or(interface, |(name, _)| name)
}

/// Where a link leads.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: Arc<str>,
    pub(crate) client: Client,
}

/// The links of one component: by name, then by interface.
#[derive(Debug, Default)]
pub(crate) struct Links(HashMap<Arc<str>, HashMap<Box<str>, Target>>);

impl Links {
    /// Adds a link. Answers whether there was none of this name and interface before.
    pub(crate) fn add(&mut self, name: &str, interface: &str, target: Target) -> bool {
        let interfaces = self.0.entry(name.into()).or_default();
        interfaces.insert(interface.into(), target).is_none()
    }

    /// The target of calls of `interface`, which may have a version, over the link `name`.
    pub(crate) fn find(&self, name: &str, interface: &str) -> Option<&Target> {
        let interfaces = self.0.get(name)?;
        interfaces
            .get(interface)
            .or_else(|| interfaces.get(without_version(interface)))
    }

    /// Whether there is a link `name` for `interface`, which has no version, in some version.
    pub(crate) fn has(&self, name: &str, interface: &str) -> bool {
        let interfaces = self.0.get(name).into_iter().flat_map(HashMap::keys);
        interfaces
            .into_iter()
            .any(|known| without_version(known) == interface)
    }

    /// The links as text, for an error.
    pub(crate) fn list(&self) -> String {
        let mut links: Vec<_> = self
            .0
            .iter()
            .flat_map(|(name, interfaces)| {
                interfaces.iter().map(move |(interface, target)| {
                    format!("`{interface}` to `{}` (link `{name}`)", target.id)
                })
            })
            .collect();
        links.sort();
        match links.as_slice() {
            [] => "it has no links".into(),
            links => format!("it has links of {}", links.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_and_written_as_text() {
        for text in [
            "a=b:ns:pkg/iface",
            "a=b:ns:pkg/iface@0.1.0",
            "a=b:ns:pkg/iface,name=backup",
            "a=b:ns:pkg/iface@0.2.0-draft,name=backup",
        ] {
            let link: Link = text.parse().expect(text);
            assert_eq!(link.to_string(), text);
            assert_eq!((&*link.source, &*link.target), ("a", "b"), "{text}");
        }
        let link: Link = "a=b:ns:pkg/iface@0.1.0,name=backup".parse().expect("valid");
        assert_eq!(link.interface, "ns:pkg/iface@0.1.0");
        assert_eq!(link.name, "backup");
    }

    #[test]
    fn other_texts_are_refused_with_the_form_that_is_wanted() {
        for text in [
            "",
            "a",
            "a=b",
            "a=:ns:pkg/iface",
            "=b:ns:pkg/iface",
            "a=b:ns:pkg/iface,name=",
        ] {
            let error = text.parse::<Link>().expect_err(text);
            assert_eq!(error, InvalidLink::Form(text.into()));
        }
        for text in [
            "a=b:c",
            "a=b:ns:pkg",
            "a=b:ns/iface",
            "a=b:ns:pkg/iface@",
            "a=b:ns:pkg/if ace",
        ] {
            let error = text.parse::<Link>().expect_err(text).to_string();
            assert!(error.contains("NAMESPACE:PACKAGE/INTERFACE"), "{error}");
        }
    }
}
