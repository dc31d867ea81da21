//! The parameters of `wrpc:http/outgoing-handler.handle`, as far as they have to be understood.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};

/// The name of a header that an HTTP client adds where it is missing, and its value here.
const USER_AGENT: (&str, &str) = ("user-agent", "wasmcloud-local-http");

/// The cases of `scheme` that are understood.
const HTTP: u8 = 0;
const HTTPS: u8 = 1;

/// The cases of `method` that differ here.
const CONNECT: u8 = 5;
const OTHER: u8 = 9;

/// What a component asks its HTTP client for.
pub(super) struct Request<'a> {
    params: &'a Bytes,
    /// Where it goes.
    pub(super) authority: &'a str,
    /// How long the client waits for an answer.
    pub(super) first_byte: Option<Duration>,
    scheme: u8,
    /// Where the case of the scheme is.
    scheme_at: usize,
    /// Where the headers are, with their number before them, and where they begin and end.
    headers_at: usize,
    first_header: usize,
    end: usize,
    headers: u32,
    has_user_agent: bool,
}

impl<'a> Request<'a> {
    /// `None` for what is not understood, or is not answered here: a tunnel, or a request whose
    /// scheme is not one of HTTP's.
    ///
    /// Body and trailers come first. Where they are still to come, their markers are empty, and
    /// they follow on paths of their own, which are the same for both functions.
    pub(super) fn read(params: &'a Bytes) -> Option<Self> {
        let mut bytes = Cursor {
            bytes: params,
            at: 0,
        };
        bytes.text()?; // A body that is there already is a list of bytes, as a text is.
        if bytes.is_some()? && bytes.is_some()? {
            bytes.fields(|_| ())?;
        }
        match bytes.byte()? {
            CONNECT => return None,
            OTHER => drop(bytes.string()?),
            method if method > OTHER => return None,
            _ => {}
        }
        if bytes.is_some()? {
            bytes.string()?;
        }
        if !bytes.is_some()? {
            return None;
        }
        let scheme_at = bytes.at;
        let scheme = bytes.byte()?;
        if !matches!(scheme, HTTP | HTTPS) || !bytes.is_some()? {
            return None;
        }
        let authority = bytes.string()?;
        let headers_at = bytes.at;
        let mut has_user_agent = false;
        let (headers, first_header) =
            bytes.fields(|name| has_user_agent |= name.eq_ignore_ascii_case(USER_AGENT.0))?;
        let end = bytes.at;
        let mut first_byte = None;
        if bytes.is_some()? {
            let (_connect, first, _between) = (bytes.time()?, bytes.time()?, bytes.time()?);
            first_byte = first;
        }
        (bytes.at == params.len()).then_some(Self {
            params,
            authority,
            first_byte,
            scheme,
            scheme_at,
            headers_at,
            first_header,
            end,
            headers,
            has_user_agent,
        })
    }

    /// The port of its scheme.
    pub(super) fn port(&self) -> u16 {
        match self.scheme {
            HTTPS => 443,
            _ => 80,
        }
    }

    /// The parameters of `wrpc:http/incoming-handler.handle` that a server would call with: it
    /// knows of no time-outs, takes what comes as `http`, and finds the header that a client adds.
    pub(super) fn to_incoming(&self) -> Bytes {
        if self.scheme == HTTP && self.has_user_agent {
            return self.params.slice(..self.end);
        }
        let (name, value) = USER_AGENT;
        let added = LARGEST_U32 + 4 + name.len() + value.len();
        let mut incoming = BytesMut::with_capacity(self.end + added);
        incoming.put_slice(&self.params[..self.headers_at]);
        incoming[self.scheme_at] = HTTP;
        put_u32(
            &mut incoming,
            self.headers + u32::from(!self.has_user_agent),
        );
        incoming.put_slice(&self.params[self.first_header..self.end]);
        if !self.has_user_agent {
            put_text(&mut incoming, name);
            incoming.put_u8(1);
            put_text(&mut incoming, value);
        }
        incoming.freeze()
    }
}

/// Into how many bytes a number is written at most.
const LARGEST_U32: usize = 5;

fn put_u32(to: &mut BytesMut, mut number: u32) {
    while number >= 0x80 {
        to.put_u8(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.put_u8(number.to_le_bytes()[0]);
}

/// Writes a text of less than 128 bytes.
fn put_text(to: &mut BytesMut, text: &str) {
    put_u32(to, u32::try_from(text.len()).unwrap_or_default());
    to.put_slice(text.as_bytes());
}

/// What is left of an encoded value.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Whether an option has a value.
    fn is_some(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn len(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    /// A list of bytes.
    fn text(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.len()?).ok()?;
        let text = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(text)
    }

    fn string(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.text()?).ok()
    }

    /// Headers or trailers. Calls `see` with the name of each. Returns how many there are, and where they begin.
    fn fields(&mut self, mut see: impl FnMut(&str)) -> Option<(u32, usize)> {
        let (fields, first) = (self.len()?, self.at);
        for _ in 0..fields {
            see(self.string()?);
            for _ in 0..self.len()? {
                self.text()?;
            }
        }
        Some((fields, first))
    }

    /// A time in nanoseconds, which may be missing.
    fn time(&mut self) -> Option<Option<Duration>> {
        Some(match self.is_some()? {
            true => Some(Duration::from_nanos(self.number()?)),
            false => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for, with what comes before and after what differs.
    struct Made {
        before: Vec<u8>,
        method: Vec<u8>,
        scheme: Vec<u8>,
        fields: Vec<(String, Vec<Vec<u8>>)>,
        options: Vec<u8>,
    }

    /// A body and trailers that are still to come.
    const PENDING: [u8; 2] = [0, 0];

    impl Default for Made {
        fn default() -> Self {
            Self {
                before: PENDING.into(),
                method: vec![0],
                scheme: vec![1, HTTP],
                fields: vec![("host".into(), vec![b"orders".into()])],
                options: vec![0],
            }
        }
    }

    fn put_bytes(to: &mut BytesMut, bytes: &[u8]) {
        put_u32(to, u32::try_from(bytes.len()).expect("it is short"));
        to.put_slice(bytes);
    }

    fn put_fields(to: &mut BytesMut, fields: &[(String, Vec<Vec<u8>>)]) {
        put_u32(to, u32::try_from(fields.len()).expect("they are few"));
        for (name, values) in fields {
            put_bytes(to, name.as_bytes());
            put_u32(to, u32::try_from(values.len()).expect("they are few"));
            values.iter().for_each(|value| put_bytes(to, value));
        }
    }

    impl Made {
        /// What a server gets.
        fn request(&self) -> BytesMut {
            let mut bytes = BytesMut::from(&*self.before);
            bytes.put_slice(&self.method);
            bytes.put_u8(1);
            put_bytes(&mut bytes, b"/path?query");
            bytes.put_slice(&self.scheme);
            bytes.put_u8(1);
            put_bytes(&mut bytes, b"orders:80");
            put_fields(&mut bytes, &self.fields);
            bytes
        }

        /// What a client gets.
        fn params(&self) -> Bytes {
            let mut bytes = self.request();
            bytes.put_slice(&self.options);
            bytes.freeze()
        }
    }

    fn agent(value: &str) -> (String, Vec<Vec<u8>>) {
        ("user-agent".into(), vec![value.into()])
    }

    #[test]
    fn a_server_gets_the_request_with_a_user_agent_and_without_time_outs() {
        let second = [1, 0x80, 0x94, 0xeb, 0xdc, 0x03];
        let all = [&[1][..], &[0], &second, &[0]].concat();
        let trailers: Vec<u8> = [&[0, 1, 1, 1][..], b"\x01a\x01\x01b"].concat();
        let whole = [&[3][..], b"abc", &[0]].concat();
        for before in [PENDING.into(), whole, vec![0, 1, 0], trailers] {
            for method in [vec![0], vec![2], b"\x09\x05PURGE".to_vec()] {
                for (options, first_byte) in [
                    (vec![0], None),
                    (vec![1, 0, 0, 0], None),
                    (all.clone(), Some(Duration::from_secs(1))),
                ] {
                    let (before, method) = (before.clone(), method.clone());
                    let mut made = Made {
                        before,
                        method,
                        options,
                        ..Made::default()
                    };
                    let params = made.params();
                    let request = Request::read(&params).expect("it is understood");
                    assert_eq!(
                        (request.authority, request.first_byte),
                        ("orders:80", first_byte)
                    );
                    made.fields.push(agent(USER_AGENT.1));
                    assert_eq!(request.to_incoming(), made.request());
                }
            }
        }
    }

    #[test]
    fn a_request_that_says_who_it_is_from_is_not_copied() {
        let mut made = Made::default();
        made.fields
            .push(("User-Agent".into(), vec![b"me".into(), b"too".into()]));
        let params = made.params();
        let incoming = Request::read(&params)
            .expect("it is understood")
            .to_incoming();
        assert_eq!(incoming, made.request());
        assert_eq!(incoming.as_ptr(), params.as_ptr());
    }

    #[test]
    fn what_comes_over_tls_is_plain_to_a_server() {
        let mut made = Made {
            scheme: vec![1, HTTPS],
            ..Made::default()
        };
        let params = made.params();
        let request = Request::read(&params).expect("it is understood");
        assert_eq!(request.port(), 443);
        (made.scheme, made.fields) = (
            vec![1, HTTP],
            vec![made.fields.remove(0), agent(USER_AGENT.1)],
        );
        assert_eq!(request.to_incoming(), made.request());
    }

    #[test]
    fn many_headers_and_large_ones_pass() {
        let field = |n: usize| (format!("x-{n}"), vec![vec![b'v'; n], vec![]]);
        // With one more, their number takes one more byte.
        for count in [126, 127, 128, 16_383] {
            let fields = (0..count).map(|n| field(n % 300)).collect();
            let mut made = Made {
                fields,
                ..Made::default()
            };
            made.fields
                .push(("x-huge".into(), vec![vec![b'h'; 1 << 20]]));
            let params = made.params();
            let incoming = Request::read(&params)
                .expect("it is understood")
                .to_incoming();
            made.fields.push(agent(USER_AGENT.1));
            assert_eq!(incoming, made.request(), "{count}");
        }
    }

    #[test]
    fn what_is_cut_or_goes_on_or_is_something_else_is_not_understood() {
        let made = Made {
            options: vec![1, 1, 7, 0, 1, 9],
            ..Made::default()
        };
        let params = made.params();
        for end in 0..params.len() {
            assert!(Request::read(&params.slice(..end)).is_none(), "{end}");
        }
        let more = [&params[..], &[0]].concat().into();
        assert!(Request::read(&more).is_none());
        let none = |made: Made| assert!(Request::read(&made.params()).is_none());
        none(Made {
            method: vec![CONNECT],
            ..Made::default()
        });
        none(Made {
            method: vec![10],
            ..Made::default()
        });
        none(Made {
            scheme: vec![0],
            ..Made::default()
        });
        none(Made {
            scheme: b"\x01\x02\x03ftp".into(),
            ..Made::default()
        });
        none(Made {
            options: vec![2],
            ..Made::default()
        });
        // A number that has no end, and one that is too large.
        none(Made {
            options: [&[1, 1][..], &[0x80; 12], &[0, 0]].concat(),
            ..Made::default()
        });
        none(Made {
            options: [&[1, 1][..], &[0xff; 9], &[2, 0, 0]].concat(),
            ..Made::default()
        });
        none(Made {
            fields: vec![],
            options: vec![0xff; 5],
            ..Made::default()
        });
        // More is claimed than is there.
        let claims = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &params[1..]]
            .concat()
            .into();
        assert!(Request::read(&claims).is_none());
    }

    /// Whatever comes, it is looked at without a panic, and what is understood is longer than what
    /// a server gets of it by the time-outs only.
    #[test]
    fn bytes_that_have_changed_do_no_harm() {
        let made = Made {
            options: vec![1, 1, 7, 0, 1, 9],
            ..Made::default()
        };
        let params = made.params();
        for at in 0..params.len() {
            for byte in 0..=u8::MAX {
                let mut changed = params.to_vec();
                changed[at] = byte;
                let changed = changed.into();
                if let Some(request) = Request::read(&changed) {
                    assert!(request.to_incoming().len() >= request.end);
                }
            }
        }
    }
}
