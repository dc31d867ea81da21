//! The listing as a page for people.
//!
//! One file, without anything from elsewhere. The first listing is written into it, so that it
//! shows something at once; from there on its script asks for the JSON.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    HeaderMap, HeaderName, HeaderValue, ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::Response;

const PAGE: &str = include_str!("page.html");

/// Where the listing goes.
const PLACE: &str = "@STATUS@";

/// The page has its own style and script, asks its own host for the listing, and loads nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// Whether a client asks for a page, as browsers do, and tools do not.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT).into_iter();
    let mut accepts = accepts.filter_map(|accept| accept.to_str().ok());
    accepts.any(|accept| accept.to_ascii_lowercase().contains("text/html"))
}

/// The page, showing the listing `json`.
pub(super) fn response(json: &[u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(with(json)));
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// Says that what is at a path depends on what the client asked for.
pub(super) fn varies(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let accept = HeaderValue::from_static("accept");
    response.headers_mut().insert(VARY, accept);
    response
}

fn with(json: &[u8]) -> String {
    // In a script element, `<` could end the element or open a comment. In JSON it stands in
    // strings only, where it can be written in this way.
    let json = String::from_utf8_lossy(json).replace('<', "\\u003c");
    PAGE.replacen(PLACE, &json, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_listing_is_taken_for_markup() {
        let listing = serde_json::json!({ "host": "</script><script>alert(1)</script><!--" });
        let page = with(&serde_json::to_vec(&listing).expect("JSON"));
        let (_, rest) = page
            .split_once("<script id=\"data\" type=\"application/json\">")
            .expect("the element");
        let (data, _) = rest.split_once("</script>").expect("its end");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(data).expect("JSON"),
            listing
        );
    }

    #[test]
    fn the_page_takes_nothing_from_elsewhere() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        for foreign in [
            "http://",
            "https://",
            "//cdn",
            "src=",
            "@import",
            "innerHTML",
        ] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn browsers_get_the_page_and_tools_do_not() {
        for (accept, wanted) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("TEXT/HTML", true),
            ("*/*", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(is_wanted(&headers), wanted, "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }
}
