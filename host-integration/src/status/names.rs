//! The names that the listing answers to.
//!
//! A web page of another site must not read the listing. A browser keeps it from doing so, unless
//! that site's own name leads to this host: then the listing is of the page's origin. Such a
//! request says the site's name in `Host`. So names are refused, but for those that no site can
//! have: `localhost`, and those that the operator gave. An address is no name that could lead
//! elsewhere, and any port is right: where ports are forwarded, it is not the one that is bound
//! here.

use std::net::Ipv6Addr;
use std::sync::Arc;

use hyper::header::{HeaderValue, HOST};
use hyper::Request;

/// What may stand in `Host`.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Arc<[String]>);

impl Names {
    /// Addresses, `localhost`, and `more`, without ports.
    pub(super) fn new(more: &[String]) -> Self {
        Self(more.into())
    }

    /// Whether `request` was meant for the listing.
    ///
    /// A client that names no host is no browser.
    pub(super) fn are_of<B>(&self, request: &Request<B>) -> bool {
        let target = request.uri().authority().map(|name| name.as_str());
        let mut target = target.into_iter();
        let mut headers = request.headers().get_all(HOST).into_iter();
        target.all(|name| self.has(name)) && headers.all(|name| self.has_header(name))
    }

    fn has_header(&self, name: &HeaderValue) -> bool {
        name.to_str().is_ok_and(|name| self.has(name))
    }

    fn has(&self, name: &str) -> bool {
        let name = without_port(name);
        is_address(name)
            || is_localhost(name)
            || self.0.iter().any(|it| it.eq_ignore_ascii_case(name))
    }
}

fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

fn is_address(name: &str) -> bool {
    let in_brackets = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<std::net::Ipv4Addr>().is_ok(),
    }
}

fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(&["status.example.com".to_owned()])
    }

    #[test]
    fn addresses_localhost_and_given_names_are_the_listings_own() {
        for own in [
            "127.0.0.1",
            "127.0.0.1:8081",
            "10.1.2.3:9000",
            "[::1]",
            "[::1]:8081",
            "localhost",
            "LOCALHOST:8081",
            "status.example.com",
            "Status.Example.com:443",
        ] {
            assert!(names().has(own), "{own}");
        }
    }

    #[test]
    fn a_name_that_may_lead_here_from_elsewhere_is_refused() {
        for other in [
            "",
            ":8081",
            "example.com",
            "example.com:8081",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "localhost.",
            "127.0.0.1:x",
            "127.1",
            "[::1",
            "[::1].example.com",
            "user@localhost",
            "localhost@example.com:8081",
        ] {
            assert!(!names().has(other), "{other}");
        }
    }

    #[test]
    fn every_name_in_a_request_counts() {
        let request = |target: &str, hosts: &[&'static str]| {
            let mut request = Request::builder().uri(target);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            names().are_of(&request.body(()).expect("request"))
        };
        assert!(request("/", &[]));
        assert!(request("/", &["localhost"]));
        assert!(request("http://localhost:1/", &["localhost:1"]));
        assert!(!request("http://example.com/", &["localhost"]));
        assert!(!request("/", &["localhost", "example.com"]));
    }
}
