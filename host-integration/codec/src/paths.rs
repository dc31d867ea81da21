//! The paths at which the streams of a plan travel.

use crate::plan::{Id, Kind, Plan};

/// How many paths are told to a transport at most. It has work to do for each, with each call.
const MAX_PATHS: usize = 256;

/// How many types are looked into for them at most: those that are referred to many times have many paths.
const MAX_STEPS: usize = 1 << 16;

impl Plan {
    /// The paths of the streams in the values. `None` is any index of a list.
    ///
    /// A transport may have to know them before a call: over NATS, what arrives at a path that was
    /// not announced is lost. There are up to 256. Of paths that the published transport does not
    /// take beside each other, the first one is there.
    pub fn paths(&self) -> Vec<Box<[Option<usize>]>> {
        let mut paths = Paths {
            plan: self,
            found: Vec::new(),
            at: Vec::new(),
            streams: self.streams(),
            steps: 0,
        };
        if self.has_resources() {
            let root = self.fields(self.root()).iter().enumerate();
            root.for_each(|(index, field)| paths.below(Some(index), field.ty));
        }
        paths.found
    }

    /// For each type, whether a stream is in it.
    pub(crate) fn streams(&self) -> Vec<bool> {
        let mut streams = Vec::with_capacity(self.nodes().len());
        for node in self.nodes() {
            let is_in = |ty: Id| streams[ty as usize];
            streams.push(match node.kind {
                Kind::Tuple(fields) => self.fields(fields).iter().any(|field| is_in(field.ty)),
                Kind::List(element) => is_in(element),
                Kind::Variant(variant) => {
                    let mut payloads = self.payloads(variant).iter().flatten();
                    payloads.any(|payload| is_in(*payload))
                }
                Kind::Stream(_) => true,
                _ => false,
            });
        }
        streams
    }
}

struct Paths<'p> {
    plan: &'p Plan,
    found: Vec<Box<[Option<usize>]>>,
    at: Vec<Option<usize>>,
    /// In which types there is one.
    streams: Vec<bool>,
    steps: usize,
}

impl Paths<'_> {
    fn below(&mut self, index: Option<usize>, ty: Id) {
        self.at.push(index);
        self.add(ty);
        self.at.pop();
    }

    fn add(&mut self, ty: Id) {
        self.steps += 1;
        let enough = self.found.len() == MAX_PATHS || self.steps > MAX_STEPS;
        if enough || !self.streams[ty as usize] {
            return;
        }
        let plan = self.plan;
        match plan.node(ty).kind {
            Kind::Stream(_) if self.found.iter().all(|path| agree(path, &self.at)) => {
                self.found.push(self.at.as_slice().into());
            }
            Kind::List(element) => self.below(None, element),
            Kind::Tuple(fields) => {
                for (index, field) in plan.fields(fields).iter().enumerate() {
                    self.below(Some(index), field.ty);
                }
            }
            Kind::Variant(variant) => {
                for payload in plan.payloads(variant).iter().flatten() {
                    self.add(*payload);
                }
            }
            _ => {}
        }
    }
}

/// Whether a transport takes both paths. The published one for NATS fails each call of a function
/// that has the same path twice, as two cases of a variant have it, or any index in one path where
/// another path has a certain one.
fn agree(one: &[Option<usize>], other: &[Option<usize>]) -> bool {
    match one.iter().zip(other).find(|(a, b)| a != b) {
        Some((a, b)) => a.is_some() && b.is_some(),
        None => one.len() != other.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Builder;
    use crate::types::Type;

    /// The paths in a parameter of type `ty`. An index is a number, and any index a `*`.
    fn paths_of(ty: Type) -> Vec<String> {
        let index = |index: &Option<usize>| index.map_or("*".to_owned(), |index| index.to_string());
        let plan = Plan::new(&[ty]).unwrap();
        let paths = plan.paths().into_iter();
        paths
            .map(|path| path.iter().map(index).collect::<Vec<_>>().join("."))
            .collect()
    }

    fn stream() -> Type {
        Type::Stream(0)
    }

    fn tuple<const N: usize>(types: [Type; N]) -> Type {
        Type::Tuple(types.into())
    }

    #[test]
    fn a_stream_has_the_path_of_its_value() {
        let in_list = tuple([Type::U8, Type::list(tuple([Type::U8, stream()]))]);
        let cases: [(Type, &[&str]); 7] = [
            (Type::U32, &[]),
            (Type::Handle(0), &[]),
            (stream(), &["0"]),
            (tuple([Type::U8, stream(), stream()]), &["0.1", "0.2"]),
            (Type::option(tuple([stream()])), &["0.0"]),
            (Type::list(stream()), &["0.*"]),
            (in_list, &["0.1.*.1"]),
        ];
        for (ty, paths) in cases {
            assert_eq!(paths_of(ty.clone()), paths, "{ty:?}");
        }
    }

    #[test]
    fn paths_that_a_transport_refuses_beside_others_are_left_out() {
        let result = |ok, err| Type::result(Some(ok), Some(err));
        let cases: [(Type, &[&str]); 3] = [
            (result(stream(), stream()), &["0"]),
            (result(stream(), tuple([stream()])), &["0", "0.0"]),
            (result(Type::list(stream()), tuple([stream()])), &["0.*"]),
        ];
        for (ty, paths) in cases {
            assert_eq!(paths_of(ty.clone()), paths, "{ty:?}");
        }
    }

    #[test]
    fn there_are_not_more_paths_than_a_transport_can_bear() {
        let half = Type::Tuple(vec![stream(); 200]);
        assert_eq!(paths_of(tuple([half.clone(), half])).len(), MAX_PATHS);
    }

    #[test]
    fn types_that_are_referred_to_many_times_are_not_followed_for_ever() {
        let mut types = Builder::new();
        let leaf = types.ty(&stream()).unwrap();
        let mut ty = types.ty(&Type::Handle(0)).unwrap();
        for _ in 0..25 {
            ty = types.tuple(&[ty, ty]).unwrap();
        }
        let plan = types.plan(&[leaf, ty, leaf]).unwrap();
        assert_eq!(plan.paths(), [0, 2].map(|index| [Some(index)].into()));

        // Each is refused beside the first one, which has any index in a list.
        let mut types = Builder::new();
        let leaf = types.ty(&stream()).unwrap();
        let (list, mut ty) = (types.list(leaf).unwrap(), leaf);
        for _ in 0..25 {
            ty = types.tuple(&[ty, ty]).unwrap();
        }
        let ty = types.variant(&[Some(list), Some(ty)]).unwrap();
        let plan = types.plan(&[ty]).unwrap();
        assert_eq!(plan.paths(), [[Some(0), None].into()]);
    }
}
