//! The paths at which the streams of a function travel.
//!
//! A transport may have to know them before a call: over NATS, what arrives at a path that was not announced is lost.

use wasmtime::component::{ResourceType, Type};

use super::kinds::children;

/// The path of a stream. `None` is any index.
pub(crate) type Path = Box<[Option<usize>]>;

/// How many paths are told to a transport at most. It has work to do for each, with each call.
const MAX_PATHS: usize = 256;

/// The paths of the streams in `types`, which are all parameters or all results of a function.
pub(crate) fn paths<'a>(
    types: impl Iterator<Item = &'a Type>,
    is_stream: impl Fn(ResourceType) -> bool,
) -> Vec<Path> {
    let mut paths = Paths {
        found: Vec::new(),
        at: Vec::new(),
        is_stream,
    };
    for (i, ty) in types.enumerate() {
        paths.below(Some(i), ty);
    }
    paths.found
}

struct Paths<F> {
    found: Vec<Path>,
    at: Vec<Option<usize>>,
    is_stream: F,
}

impl<F: Fn(ResourceType) -> bool> Paths<F> {
    fn below(&mut self, index: Option<usize>, ty: &Type) {
        self.at.push(index);
        self.add(ty);
        self.at.pop();
    }

    fn add(&mut self, ty: &Type) {
        if self.found.len() == MAX_PATHS {
            return;
        }
        match ty {
            Type::Own(ty)
                if (self.is_stream)(*ty) && self.found.iter().all(|path| agree(path, &self.at)) =>
            {
                self.found.push(self.at.as_slice().into());
            }
            Type::List(ty) => self.below(None, &ty.ty()),
            Type::Record(_) | Type::Tuple(_) => {
                for (i, ty) in children(ty).iter().enumerate() {
                    self.below(Some(i), ty);
                }
            }
            Type::Variant(_) | Type::Option(_) | Type::Result(_) => {
                for ty in &children(ty) {
                    self.add(ty);
                }
            }
            _ => {}
        }
    }
}

/// Whether a transport takes both paths. The published one for NATS fails each call of a function that has the same path
/// twice, as two cases of a variant have it, or any index in one path where another path has a certain one.
fn agree(one: &[Option<usize>], other: &[Option<usize>]) -> bool {
    match one.iter().zip(other).find(|(a, b)| a != b) {
        Some((a, b)) => a.is_some() && b.is_some(),
        None => one.len() != other.len(),
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::{types, Component};
    use wasmtime::Engine;

    use super::*;

    /// The paths of a parameter of type `ty`, in which `$in` is a stream. An index is a number, and any index a `*`.
    fn paths_of(ty: &str) -> Vec<String> {
        let engine = Engine::default();
        let component = format!(
            r#"(component (import "in" (type $in (sub resource))) (import "f" (func (param "p" {ty}))))"#
        );
        let component = Component::new(&engine, wat::parse_str(component).expect("valid text"))
            .expect("a valid type");
        let function = component.component_type().get_import(&engine, "f");
        let Some(types::ComponentItem::ComponentFunc(function)) = function else {
            panic!("it imports a function");
        };
        let params: Vec<_> = function.params().collect();
        let text = |index: &Option<usize>| index.map_or("*".to_owned(), |index| index.to_string());
        let text = |path: &Path| path.iter().map(text).collect::<Vec<_>>().join(".");
        paths(params.iter(), |_| true).iter().map(text).collect()
    }

    #[test]
    fn a_stream_has_the_path_of_its_value() {
        let cases: [(&str, &[&str]); 6] = [
            ("u32", &[]),
            ("(own $in)", &["0"]),
            ("(tuple u8 (own $in) (own $in))", &["0.1", "0.2"]),
            ("(option (tuple (own $in)))", &["0.0"]),
            ("(list (own $in))", &["0.*"]),
            ("(tuple u8 (list (tuple u8 (own $in))))", &["0.1.*.1"]),
        ];
        for (ty, paths) in cases {
            assert_eq!(paths_of(ty), paths, "{ty}");
        }
    }

    #[test]
    fn a_borrowed_stream_has_none() {
        assert_eq!(paths_of("(borrow $in)"), [] as [&str; 0]);
    }

    #[test]
    fn paths_that_a_transport_refuses_beside_others_are_left_out() {
        let cases: [(&str, &[&str]); 3] = [
            ("(result (own $in) (error (own $in)))", &["0"]),
            (
                "(result (own $in) (error (tuple (own $in))))",
                &["0", "0.0"],
            ),
            (
                "(result (list (own $in)) (error (tuple (own $in))))",
                &["0.*"],
            ),
        ];
        for (ty, paths) in cases {
            assert_eq!(paths_of(ty), paths, "{ty}");
        }
    }

    #[test]
    fn there_are_not_more_paths_than_a_transport_can_bear() {
        let half = format!("(tuple {})", "(own $in) ".repeat(200));
        assert_eq!(paths_of(&format!("(tuple {half} {half})")).len(), MAX_PATHS);
    }
}
