//! Credentials for a NATS connection: from a `.creds` file, or from a user JWT and a seed.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{bail, Context as _};
use async_nats::{AuthError, ConnectOptions};
use nkeys::KeyPair;

/// A user's JWT and the key pair that signs the server's challenge.
#[derive(Clone)]
pub(crate) struct NatsCredentials {
    pub(crate) jwt: String,
    pub(crate) key: Arc<KeyPair>,
}

// Neither half belongs in a log.
impl fmt::Debug for NatsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsCredentials").finish_non_exhaustive()
    }
}

/// Options for a connection beside those of the host, with the credentials of one of them.
pub(crate) fn connect_options(
    jwt: Option<String>,
    key: Option<Arc<KeyPair>>,
    tls: bool,
) -> ConnectOptions {
    let options = ConnectOptions::new().require_tls(tls);
    match (jwt, key) {
        (Some(jwt), Some(key)) => options.jwt(jwt, move |nonce| {
            let key = Arc::clone(&key);
            async move { key.sign(&nonce).map_err(AuthError::new) }
        }),
        _ => options,
    }
}

/// Where the flags of one connection say that its credentials are.
pub(crate) struct Source<'a> {
    /// What the flags of this connection start with: `nats`, `ctl` or `rpc`.
    pub(crate) connection: &'static str,
    pub(crate) file: Option<&'a Path>,
    pub(crate) jwt: Option<&'a str>,
    pub(crate) seed: Option<&'a str>,
}

impl Source<'_> {
    /// Reads the credentials; `None` when the flags name none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not hold a user JWT and a seed, when the seed is not valid, and when only
    /// a part of the credentials is given. The message names the flag, and neither JWT nor seed is in it.
    pub(crate) async fn load(self) -> anyhow::Result<Option<NatsCredentials>> {
        let connection = self.connection;
        match (self.file, self.jwt, self.seed) {
            (None, None, None) => Ok(None),
            (Some(file), None, None) => {
                let what = || format!("`--{connection}-creds` {}", file.display());
                let contents = tokio::fs::read_to_string(file)
                    .await
                    .with_context(|| format!("cannot read the credentials file of {}", what()))?;
                let credentials = parse_creds(&contents)
                    .with_context(|| format!("cannot use the credentials file of {}", what()))?;
                Ok(Some(credentials))
            }
            (None, Some(jwt), Some(seed)) => {
                let key = KeyPair::from_seed(seed)
                    .with_context(|| format!("the seed of `--{connection}-seed` is not valid"))?;
                Ok(Some(NatsCredentials {
                    jwt: jwt.to_string(),
                    key: Arc::new(key),
                }))
            }
            // The command line's own rules keep this from happening.
            _ => bail!(
                "give either `--{connection}-creds` or both `--{connection}-jwt` and `--{connection}-seed`"
            ),
        }
    }
}

/// Parses the contents of a `.creds` file, as `nsc` and `nats` write it.
fn parse_creds(contents: &str) -> anyhow::Result<NatsCredentials> {
    let jwt = block(contents, "NATS USER JWT")
        .context("it has no user JWT between `BEGIN NATS USER JWT` and `END NATS USER JWT`")?;
    let seed = block(contents, "USER NKEY SEED")
        .context("it has no seed between `BEGIN USER NKEY SEED` and `END USER NKEY SEED`")?;
    let key = KeyPair::from_seed(seed).context("its seed is not valid")?;
    Ok(NatsCredentials {
        jwt: jwt.to_string(),
        key: Arc::new(key),
    })
}

/// The one line between the first `BEGIN` and `END` line of `label` that have exactly one line between them.
fn block<'a>(contents: &'a str, label: &str) -> Option<&'a str> {
    // The tools write five dashes around BEGIN and six around END; others count less carefully.
    let is_marker = |line: &str, word: &str| {
        line.starts_with("---")
            && line.ends_with("---")
            && line.trim_matches('-').strip_prefix(word) == Some(label)
    };
    let lines: Vec<&str> = contents.lines().map(str::trim).collect();
    lines.windows(3).find_map(|three| match three {
        [begin, content, end]
            if is_marker(begin, "BEGIN ") && is_marker(end, "END ") && !content.is_empty() =>
        {
            Some(*content)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    // A JWT is only handed to the server, never looked into.
    const JWT: &str = "eyJ0eXAiOiJKV1QifQ.eyJuYW1lIjoidGVzdCJ9.c2lnbmF0dXJl";

    fn new_seed() -> String {
        KeyPair::new_user().seed().expect("a new key has a seed")
    }

    fn creds(jwt: &str, seed: &str) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             *** keep this file to yourself ***\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }

    fn source<'a>(
        file: Option<&'a Path>,
        jwt: Option<&'a str>,
        seed: Option<&'a str>,
    ) -> Source<'a> {
        Source {
            connection: "ctl",
            file,
            jwt,
            seed,
        }
    }

    fn seed_of(credentials: &NatsCredentials) -> String {
        credentials.key.seed().expect("the key has a seed")
    }

    #[tokio::test]
    async fn from_a_file() {
        let seed = new_seed();
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(creds(JWT, &seed).as_bytes())
            .expect("write the file");
        let loaded = source(Some(file.path()), None, None).load().await;
        let credentials = loaded.expect("valid").expect("some");
        assert_eq!(credentials.jwt, JWT);
        assert_eq!(seed_of(&credentials), seed);
    }

    #[tokio::test]
    async fn from_jwt_and_seed() {
        let seed = new_seed();
        let loaded = source(None, Some(JWT), Some(&seed)).load().await;
        let credentials = loaded.expect("valid").expect("some");
        assert_eq!(credentials.jwt, JWT);
        assert_eq!(seed_of(&credentials), seed);
    }

    #[tokio::test]
    async fn none_at_all() {
        let loaded = source(None, None, None).load().await;
        assert!(loaded.expect("no credentials are fine").is_none());
    }

    #[tokio::test]
    async fn a_missing_file_is_named_with_its_flag() {
        let path = Path::new("no/such/file.creds");
        let error = source(Some(path), None, None).load().await;
        let error = format!("{:#}", error.expect_err("there is no such file"));
        assert!(
            error.contains("--ctl-creds") && error.contains("no/such/file.creds"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_bad_seed_is_reported_without_repeating_it() {
        let error = source(None, Some(JWT), Some("SUANOPE")).load().await;
        let error = format!("{:#}", error.expect_err("not a seed"));
        assert!(
            error.contains("--ctl-seed") && !error.contains("SUANOPE"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn half_of_the_credentials_is_refused() {
        let seed = new_seed();
        for half in [
            source(None, Some(JWT), None),
            source(None, None, Some(&seed)),
        ] {
            let error = half.load().await.expect_err("one half is missing");
            assert!(error.to_string().contains("--ctl-jwt"), "{error}");
        }
    }

    #[test]
    fn windows_line_ends_are_accepted() {
        let seed = new_seed();
        let contents = creds(JWT, &seed).replace('\n', "\r\n");
        let credentials = parse_creds(&contents).expect("valid");
        assert_eq!(credentials.jwt, JWT);
        assert_eq!(seed_of(&credentials), seed);
    }

    #[test]
    fn a_malformed_file_is_refused_and_the_part_named() {
        let seed = new_seed();
        let good = creds(JWT, &seed);
        let cases = [
            (String::new(), "no user JWT"),
            ("not a creds file".to_string(), "no user JWT"),
            (good.replace(&format!("{JWT}\n"), ""), "no user JWT"),
            (good.replace(JWT, ""), "no user JWT"),
            (good.replace("END NATS USER JWT", "END"), "no user JWT"),
            (good.replace(&format!("{seed}\n"), ""), "no seed"),
            (good.replace("BEGIN USER NKEY SEED", "BEGIN"), "no seed"),
            (good.replace(&seed, "SUANOPE"), "its seed is not valid"),
        ];
        for (contents, expected) in cases {
            let error = format!("{:#}", parse_creds(&contents).expect_err(expected));
            assert!(error.contains(expected), "{error}\nfor:\n{contents}");
            assert!(!error.contains(&seed) && !error.contains(JWT), "{error}");
        }
    }
}
