//! Whether a peer reads what another one sends as it was meant, told by the types that both take a function to have.
//!
//! Values are sent without their types, so it is the bytes that decide. Types are given as text:
//!
//! ```text
//! FUNCTION = "func" TUPLE " -> " TUPLE
//! TUPLE    = "(" [ TYPE { ", " TYPE } ] ")"            a record or a tuple; parameters and results
//! TYPE     = TUPLE | NAME                              bool u8 s8 u16 s16 u32 s32 u64 s64 f32 f64 char string
//!          | "list<" TYPE ">" | "option<" TYPE ">"
//!          | "result<" CASE ", " CASE ">"
//!          | "variant<" CASE { " | " CASE } ">"
//!          | "enum<" COUNT ">" | "flags<" COUNT ">"
//!          | "resource" | "input-stream"
//! CASE     = "_" | TYPE                                without a payload, or with one
//! ```

use crate::plan::MAX_DEPTH;

/// Whether a callee whose function has the types `callee` reads the parameters of a caller that takes them to be `caller`
/// as they were meant, and the caller its results. Each value is then read as the same value, or refused by
/// the one who reads it; never as another one.
///
/// | types | read each other, because |
/// |---|---|
/// | a record, a tuple, one in another, and the bare fields | fields follow each other, with nothing between them |
/// | `option`, `result`, `bool`, `enum`, and the `variant` with the same cases | the number of the case comes first: one byte up to 127 |
/// | a `variant` with more cases at its end | a case that the reader does not have is refused when it is sent |
/// | `flags` with more flags at their end, in the same number of bytes | a flag that the reader does not have is dropped, as the published decoder drops it |
/// | a single flag and `bool` | a bit |
/// | `u16`, `u32` and `u64`; `s16`, `s32` and `s64` | LEB128 has no width; a number that is too large is refused |
/// | `string` and `list<u8>` | bytes after their number; what is not UTF-8 is refused as a string |
///
/// Others do not, even if some of their values have the same bytes: an 8-bit number is a byte and not LEB128, the sign is a
/// part of the number, and where one more flag needs one more byte, all that follows is read at the wrong place. A stream has
/// no bytes: it travels at a path, which the records and tuples around it are a part of. So it is another type than a
/// handle, and than itself in a record.
///
/// What follows all parameters or all results is not looked at by who does not know of it. It was meant for something, so a
/// parameter more or less is a difference.
///
/// `false` when one of the two is no text of types.
///
/// ```
/// use inhost_codec::agree;
///
/// // One case more, in what the caller sends.
/// assert!(agree("func(enum<4>) -> ()", "func(enum<3>) -> ()"));
/// assert!(agree("func((u32)) -> (string)", "func(u32) -> (string)"));
/// assert!(!agree("func(u8) -> ()", "func(s8) -> ()"));
/// ```
pub fn agree(caller: &str, callee: &str) -> bool {
    let (Some(caller), Some(callee)) = (function(caller), function(callee)) else {
        return false;
    };
    reads(&callee.params, &caller.params) && reads(&caller.results, &callee.results)
}

/// What values are on the wire, one after the other: no record or tuple is left.
type Items = Vec<Item>;

#[derive(Debug)]
enum Item {
    /// A name that is sent in its own way.
    Named(&'static str),
    /// A number in LEB128.
    Unsigned,
    Signed,
    List(Items),
    /// The number of a case, and the payload of that case.
    Cases(Vec<Items>),
    Flags(usize),
    /// At a path of its own, where `None` is any index.
    Stream(Vec<Option<usize>>),
}

struct Function {
    params: Items,
    results: Items,
}

/// Whether who reads `read` gets what was sent as `sent`.
fn reads(read: &[Item], sent: &[Item]) -> bool {
    read.len() == sent.len() && read.iter().zip(sent).all(|(read, sent)| item(read, sent))
}

fn item(read: &Item, sent: &Item) -> bool {
    match (read, sent) {
        (Item::Named(read), Item::Named(sent)) => read == sent,
        (Item::Unsigned, Item::Unsigned) | (Item::Signed, Item::Signed) => true,
        (Item::List(read), Item::List(sent)) => reads(read, sent),
        (Item::Cases(read), Item::Cases(sent)) => {
            // What one of them has beyond the other is refused when it is sent, or never sent.
            read.iter().zip(sent).all(|(read, sent)| reads(read, sent))
        }
        (Item::Flags(read), Item::Flags(sent)) => read.div_ceil(8) == sent.div_ceil(8),
        (Item::Flags(1), Item::Cases(cases)) | (Item::Cases(cases), Item::Flags(1)) => {
            matches!(cases.as_slice(), [no, yes] if no.is_empty() && yes.is_empty())
        }
        (Item::Stream(read), Item::Stream(sent)) => read == sent,
        _ => false,
    }
}

fn function(text: &str) -> Option<Function> {
    let mut text = Text {
        rest: text,
        path: Vec::new(),
        depth: 0,
    };
    text.skip("func")?;
    let params = text.tuple()?;
    text.skip(" -> ")?;
    let results = text.tuple()?;
    text.rest.is_empty().then_some(Function { params, results })
}

/// More cases or flags than wasmtime takes.
const MAX_COUNT: usize = 1 << 20;

/// Types that are being read.
struct Text<'t> {
    rest: &'t str,
    /// Where the type at `rest` is in the parameters or the results.
    path: Vec<Option<usize>>,
    /// How many types are around it.
    depth: usize,
}

impl Text<'_> {
    fn skip(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// As [`skip`](Self::skip), if it is there.
    fn skips(&mut self, expected: &str) -> bool {
        self.skip(expected).is_some()
    }

    fn tuple(&mut self) -> Option<Items> {
        self.skip("(")?;
        let mut items = Items::new();
        for index in 0.. {
            if self.skips(")") {
                break;
            }
            if index > 0 {
                self.skip(", ")?;
            }
            items.extend(self.below(Some(index))?);
        }
        Some(items)
    }

    /// The type at `index` of what holds it.
    fn below(&mut self, index: Option<usize>) -> Option<Items> {
        self.path.push(index);
        let items = self.ty();
        self.path.pop();
        items
    }

    fn ty(&mut self) -> Option<Items> {
        if self.rest.starts_with('(') {
            return self.nested(Self::tuple);
        }
        let end = self.rest.find(['<', '>', ',', ')', ' ']);
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let item = match name {
            "bool" => Item::Cases(vec![Items::new(), Items::new()]),
            "u16" | "u32" | "u64" => Item::Unsigned,
            "s16" | "s32" | "s64" => Item::Signed,
            "string" => Item::List(vec![Item::Named("u8")]),
            "input-stream" => Item::Stream(self.path.clone()),
            "enum" => {
                let count = self.count()?;
                Item::Cases((0..count).map(|_| Items::new()).collect())
            }
            "flags" => Item::Flags(self.count()?),
            "list" | "option" | "result" | "variant" => self.nested(|text| text.holder(name))?,
            name => {
                let names = ["u8", "s8", "f32", "f64", "char", "resource"];
                Item::Named(names.into_iter().find(|known| *known == name)?)
            }
        };
        Some(vec![item])
    }

    /// What is between the brackets that follow `name`.
    fn holder(&mut self, name: &str) -> Option<Item> {
        self.skip("<")?;
        let item = match name {
            "list" => Item::List(self.below(None)?),
            "option" => Item::Cases(vec![Items::new(), self.ty()?]),
            _ => {
                let separator = if name == "result" { ", " } else { " | " };
                let mut cases = vec![self.case()?];
                while self.skips(separator) {
                    cases.push(self.case()?);
                }
                Item::Cases(cases)
            }
        };
        self.skip(">")?;
        Some(item)
    }

    fn case(&mut self) -> Option<Items> {
        match self.skips("_") {
            true => Some(Items::new()),
            false => self.ty(),
        }
    }

    fn count(&mut self) -> Option<usize> {
        self.skip("<")?;
        let (digits, rest) = self.rest.split_once('>')?;
        self.rest = rest;
        digits.parse().ok().filter(|count| *count <= MAX_COUNT)
    }

    /// Goes on with `inside`, unless that is too deep.
    fn nested<T>(&mut self, inside: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let inside = (self.depth <= MAX_DEPTH).then(|| inside(self)).flatten();
        self.depth -= 1;
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether parameters of the type `sent` are read as `read`, and results the other way.
    fn read_as(sent: &str, read: &str) -> bool {
        let (none, some) = ("func() -> ", "func");
        let results = agree(&format!("{none}({read})"), &format!("{none}({sent})"));
        let params = agree(
            &format!("{some}({sent}) -> ()"),
            &format!("{some}({read}) -> ()"),
        );
        assert_eq!(params, results, "{sent} as {read}");
        params
    }

    #[test]
    fn what_is_no_text_of_types_agrees_with_nothing() {
        for text in [
            "",
            "func",
            "func()",
            "func(u8)",
            "func() -> u8",
            "func(u8,u8) -> ()",
            "func(u7) -> ()",
            "func(u8) -> () ",
            "func(list<u8) -> ()",
            "func(list u8) -> ()",
            "func(enum<>) -> ()",
            "func(flags<a>) -> ()",
            "func(enum<99999999999999>) -> ()",
            "func(variant<>) -> ()",
            "func(result<u8>) -> (",
            "func(,u8) -> ()",
        ] {
            assert!(!agree(text, text), "{text}");
        }
        let deep = |depth| {
            format!(
                "func({}u8{}) -> ()",
                "list<".repeat(depth),
                ">".repeat(depth)
            )
        };
        assert!(agree(&deep(100), &deep(100)));
        assert!(!agree(&deep(100_000), &deep(100_000)));
    }

    #[test]
    fn a_stream_is_known_by_its_path() {
        assert!(read_as("input-stream", "input-stream"));
        assert!(!read_as("input-stream", "resource"));
        assert!(!read_as("resource", "input-stream"));
        assert!(!read_as("(input-stream)", "input-stream"));
        assert!(!read_as("((u8, input-stream))", "(u8, input-stream)"));
        assert!(read_as(
            "list<(input-stream, (u8))>",
            "list<(input-stream, u8)>"
        ));
        assert!(!read_as("list<(input-stream)>", "list<input-stream>"));
        assert!(read_as(
            "option<input-stream>",
            "variant<_ | input-stream | u8>"
        ));
    }

    #[test]
    fn a_handle_is_no_list_of_bytes() {
        assert!(read_as("resource", "(resource)"));
        assert!(!read_as("resource", "list<u8>"));
        assert!(!read_as("string", "resource"));
    }
}
