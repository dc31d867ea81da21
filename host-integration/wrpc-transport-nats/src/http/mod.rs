//! Outgoing HTTP requests of components to components of this host, in memory.
//!
//! To the host library, an HTTP request that a component makes is a call of
//! `wrpc:http/outgoing-handler.handle` of the HTTP client provider that the component is linked to.
//! Its parameters are those of `wrpc:http/incoming-handler.handle`, and then the time-outs. So
//! where the name that a request goes to is that of a component here, and whoever deploys that
//! component offers it under this name, the request is made a call of the component, and what it
//! answers is what the provider would have. Whatever is not so, or is not understood, goes to the
//! provider.
//!
//! `request` reads and rewrites the parameters, and `streams` says of a call that fails what the
//! provider would say. `body` is for every HTTP message that a component is given, whichever way it
//! comes: a body that breaks off is an error to who reads it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use async_nats::HeaderMap;
use bytes::Bytes;
use inhost_backends::AnyBackend;
use inhost_dispatch::Dispatcher;

use crate::client::{ParamWriter, Reader};
use crate::remote::Remote;

use request::Request;

mod body;
mod encoding;
mod request;
mod streams;

const OUTGOING: &str = "wrpc:http/outgoing-handler@0.1.0";
const INCOMING: &str = "wrpc:http/incoming-handler@0.1.0";
const HANDLE: &str = "handle";

/// The name of an HTTP server: a host name or an IP address in lower case, and a port. Without one,
/// it is that of the scheme: 80 for `http`, 443 for `https`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpName {
    host: Box<str>,
    port: Option<u16>,
}

impl HttpName {
    /// Whether there is a request that goes to both.
    ///
    /// ```
    /// # use wrpc_transport_nats::local::HttpName;
    /// let name = |text: &str| text.parse::<HttpName>().expect("a name");
    /// assert!(name("orders").overlaps(&name("Orders:80")));
    /// assert!(!name("orders").overlaps(&name("orders:8080")));
    /// ```
    pub fn overlaps(&self, other: &Self) -> bool {
        let ports = match (self.port, other.port) {
            (Some(one), Some(other)) => one == other,
            (Some(port), None) | (None, Some(port)) => matches!(port, 80 | 443),
            (None, None) => true,
        };
        ports && self.host == other.host
    }

    /// Whether a request to `authority` goes there, when its scheme has the port `default`.
    fn is(&self, authority: &str, default: u16) -> bool {
        let Ok((host, port)) = split(authority) else {
            return false;
        };
        let port = port.unwrap_or(default);
        self.port.unwrap_or(default) == port && same_host(host, &self.host)
    }
}

/// Whether two hosts are the same, of which the second is one of an [`HttpName`].
fn same_host(host: &str, known: &str) -> bool {
    host.eq_ignore_ascii_case(known)
        || address(host).is_some_and(|it| known == format!("[{it}]").as_str())
}

/// The IPv6 address that a host is in brackets.
fn address(host: &str) -> Option<std::net::Ipv6Addr> {
    let bracketed = host.strip_prefix('[')?.strip_suffix(']')?;
    bracketed.parse().ok()
}

/// The host of an authority, and its port.
///
/// # Errors
///
/// What is wrong with it: it has no host, or more than these two.
fn split(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let end = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[end..].find(':') {
        Some(at) => {
            let (host, port) = authority.split_at(end + at);
            let digits = &port[1..];
            // A sign is none of a port.
            let port = digits.parse().ok().filter(|port| *port > 0);
            let port = port.filter(|_| digits.bytes().all(|it| it.is_ascii_digit()));
            (
                host,
                Some(port.ok_or("its port is no number from 1 to 65535")?),
            )
        }
        None => (authority, None),
    };
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let bracketed = host.starts_with('[') && host.ends_with(']');
    match bracketed.then(|| address(host)) {
        Some(None) => Err("what is in brackets is no IPv6 address"),
        None if host.is_empty() => Err("it has no host name"),
        None if !host.chars().all(is_of_host) => {
            Err("a host name has ASCII letters, digits, `-`, `_` and `.` only")
        }
        None if host.split('.').any(str::is_empty) => {
            Err("its host name begins or ends with a dot, or has two in a row")
        }
        _ => Ok((host, port)),
    }
}

/// A text that is no [`HttpName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of an HTTP server: {why}. Use a host name, with a port unless it is that of the scheme, as in \
     `orders.local` or `orders.local:8080`"
)]
pub struct InvalidHttpName {
    text: String,
    why: &'static str,
}

impl FromStr for HttpName {
    type Err = InvalidHttpName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split(text).map_err(|why| InvalidHttpName {
            text: text.into(),
            why,
        })?;
        // An address can be written in several ways.
        let host = match address(host) {
            Some(address) => format!("[{address}]"),
            None => host.to_ascii_lowercase(),
        };
        let host = host.into();
        Ok(Self { host, port })
    }
}

impl fmt::Display for HttpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Which names are those of components, and which of them the components are offered under.
#[derive(Debug)]
pub(crate) struct Http {
    components: BTreeMap<HttpName, String>,
    /// The names that a component is offered under, by its prefix.
    offers: RwLock<HashMap<Box<str>, Vec<HttpName>>>,
}

impl Http {
    pub(crate) fn new(components: BTreeMap<HttpName, String>) -> Self {
        Self {
            components,
            offers: RwLock::default(),
        }
    }

    /// The component under `prefix` is offered under these names, and under no others.
    pub(crate) fn offer(&self, prefix: &str, names: Vec<HttpName>) {
        let mut offers = self.offers.write().unwrap_or_else(PoisonError::into_inner);
        match names.is_empty() {
            true => offers.remove(prefix),
            false => offers.insert(prefix.into(), names),
        };
    }

    /// The names, with the components that they are those of, and whether a request to them stays
    /// here, in whichever lattice: the component is offered under its name, and `answers`, by its
    /// prefix.
    pub(crate) fn names(
        &self,
        answers: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (&HttpName, &str, bool)> {
        self.components.iter().map(move |(name, id)| {
            let offers = self.offers.read().unwrap_or_else(PoisonError::into_inner);
            let mut offers = offers.iter();
            let answered = offers.any(|(prefix, names)| {
                let of = prefix.rsplit_once('.').map(|(_, of)| of);
                of == Some(id) && names.contains(name) && answers(prefix)
            });
            (name, &**id, answered)
        })
    }

    /// The prefix of the component that a request goes to, within `lattice`.
    fn component(&self, lattice: &str, request: &Request<'_>) -> Option<String> {
        let mut components = self.components.iter();
        let (name, id) = components.find(|(name, _)| name.is(request.authority, request.port()))?;
        let prefix = format!("{lattice}.{id}");
        let offers = self.offers.read().unwrap_or_else(PoisonError::into_inner);
        let names = offers.get(&*prefix)?;
        names.contains(name).then_some(prefix)
    }

    /// Makes a call that `dispatcher` is asked for one of a component here, if it is a request to such a one.
    ///
    /// # Errors
    ///
    /// What the call takes along, untouched, if it is not.
    pub(crate) fn invoke(
        &self,
        dispatcher: &Dispatcher<Remote, Option<HeaderMap>, AnyBackend>,
        cx: Option<HeaderMap>,
        params: Bytes,
    ) -> Result<(ParamWriter, Reader), (Option<HeaderMap>, Bytes)> {
        let lattice = dispatcher.prefix().rsplit_once('.').map(|(it, _)| it);
        let request = Request::read(&params);
        let (Some(lattice), Some(request)) = (lattice, request) else {
            return Err((cx, params));
        };
        let Some(prefix) = self.component(lattice, &request) else {
            return Err((cx, params));
        };
        let (first_byte, incoming) = (request.first_byte, request.to_incoming());
        match dispatcher.invoke_here(&prefix, cx, INCOMING, HANDLE, incoming) {
            Ok(streams) => Ok(streams::adapt(streams, first_byte)),
            Err((cx, _)) => Err((cx, params)),
        }
    }
}

/// The streams of a request to a component, or of the answer to one that it made, as they come to
/// it: a body that breaks off is an error to who reads it.
pub(crate) fn guard_body(stream: Reader) -> Reader {
    body::guard(stream)
}

/// Whether a function is that of an HTTP client.
pub(crate) fn is_outgoing(instance: &str, func: &str) -> bool {
    instance == OUTGOING && func == HANDLE
}

/// Whether a function is that of an HTTP server.
pub(crate) fn is_incoming(instance: &str, func: &str) -> bool {
    instance == INCOMING && func == HANDLE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HttpName {
        text.parse().expect("a name")
    }

    #[test]
    fn a_name_is_a_host_and_a_port_or_that_of_the_scheme() {
        for (given, authority, is) in [
            ("orders", "orders", true),
            ("Orders", "oRDERS", true),
            ("orders", "orders:80", true),
            ("orders", "orders:8080", false),
            ("orders:80", "orders", true),
            ("orders:8080", "orders:8080", true),
            ("orders:8080", "orders", false),
            ("orders", "orders.", false),
            ("orders", "user@orders", false),
            ("orders", "orders:", false),
            ("orders", "", false),
            ("[::1]", "[::1]:80", true),
            ("[::1]:8080", "[::1]:8080", true),
            ("[0:0::1]", "[::1]", true),
            ("[::1]", "[0:0:0:0:0:0:0:1]", true),
            ("[::A]", "[::a]", true),
            ("[::1]", "[::2]", false),
            ("orders:080", "orders", true),
        ] {
            assert_eq!(name(given).is(authority, 80), is, "{given}, {authority}");
        }
        assert!(name("orders").is("orders:443", 443));
    }

    #[test]
    fn names_overlap_that_one_request_can_go_to() {
        for (one, other, overlap) in [
            ("a", "A", true),
            ("a", "a:80", true),
            ("a:443", "a", true),
            ("a:80", "a:443", false),
            ("a:80", "a:080", true),
            ("a", "a:8080", false),
            ("a", "b", false),
            ("[::1]", "[0::1]:80", true),
        ] {
            assert_eq!(name(one).overlaps(&name(other)), overlap, "{one}, {other}");
            assert_eq!(name(other).overlaps(&name(one)), overlap, "{one}, {other}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_and_what_is_one_is_written_as_it_is_read() {
        for (bad, why) in [
            ("", "no host name"),
            (":80", "no host name"),
            ("a b", "letters"),
            ("a:b", "its port"),
            ("a:", "its port"),
            ("a:0", "its port"),
            ("a:+80", "its port"),
            ("a:-80", "its port"),
            ("a: 80", "its port"),
            ("a:70000", "its port"),
            ("http://a", "its port"),
            ("a/b", "letters"),
            ("[::1", "its port"),
            ("[a]", "IPv6"),
            ("u@a", "letters"),
            ("é", "letters"),
            (".a", "a dot"),
            ("a.", "a dot"),
            ("a..b", "two in a row"),
        ] {
            let error = bad.parse::<HttpName>().expect_err(bad).to_string();
            let named = error.contains(&format!("`{bad}` is not")) && error.contains(why);
            assert!(named && error.contains("as in `orders.local`"), "{error}");
        }
        for good in ["orders", "orders.local:8080", "127.0.0.1", "[::1]:80"] {
            assert_eq!(name(good).to_string(), good);
        }
    }
}
