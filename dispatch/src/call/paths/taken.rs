//! The paths that both sides have taken, in little room.
//!
//! A call may have a hundred thousand of them, as the elements of a list. Each is a number below
//! the path before it, and most of them are taken one after the other, so they are kept as runs of
//! numbers below which the same is taken: all elements of a list are one run, also when each of
//! them is a record with streams in it.

use std::collections::BTreeMap;

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenPaths {
    /// Whether the path that leads here is one of them.
    here: bool,
    /// What is below it: by the first number of a run, the last one and what all numbers of the run
    /// have below them. No two runs that meet have the same.
    below: BTreeMap<usize, (usize, TakenPaths)>,
}

impl TakenPaths {
    pub(super) fn contains(&self, path: &[usize]) -> bool {
        let Some((number, rest)) = path.split_first() else {
            return self.here;
        };
        let run = self.below.range(..=number).next_back();
        run.is_some_and(|(_, (last, below))| number <= last && below.contains(rest))
    }

    pub(super) fn insert(&mut self, path: &[usize]) {
        let Some((&number, rest)) = path.split_first() else {
            self.here = true;
            return;
        };
        let mut below = self.cut_out(number);
        below.insert(rest);
        let (mut first, mut last) = (number, number);
        if let Some((before, _)) = number.checked_sub(1).and_then(|it| self.run(it)) {
            if self.below[&before].1 == below {
                self.below.remove(&before);
                first = before;
            }
        }
        if let Some(after) = number.checked_add(1) {
            if self.below.get(&after).is_some_and(|(_, it)| *it == below) {
                last = self.below.remove(&after).map_or(last, |(end, _)| end);
            }
        }
        self.below.insert(first, (last, below));
    }

    /// The run that `number` is in: its first and its last number.
    fn run(&self, number: usize) -> Option<(usize, usize)> {
        let (first, (last, _)) = self.below.range(..=number).next_back()?;
        (number <= *last).then_some((*first, *last))
    }

    /// Takes `number` out of its run, and returns what is below it.
    fn cut_out(&mut self, number: usize) -> Self {
        let Some((first, last)) = self.run(number) else {
            return Self::default();
        };
        let below = self.below.remove(&first).map(|(_, below)| below);
        let below = below.unwrap_or_default();
        if first < number {
            self.below.insert(first, (number - 1, below.clone()));
        }
        if number < last {
            self.below.insert(number + 1, (last, below.clone()));
        }
        below
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    impl TakenPaths {
        fn runs(&self) -> usize {
            let below = self.below.values().map(|(_, below)| below.runs());
            self.below.len() + below.sum::<usize>()
        }
    }

    fn set<'a>(paths: impl IntoIterator<Item = &'a [usize]>) -> TakenPaths {
        let mut set = TakenPaths::default();
        paths.into_iter().for_each(|path| set.insert(path));
        set
    }

    #[test]
    fn the_elements_of_a_list_are_one_run_in_whichever_order_they_are_taken() {
        let mut elements: Vec<_> = (0..10_000).map(|n| [3, n]).collect();
        for step in [1, 7, 9_999] {
            elements.sort_by_key(|[_, n]| n * step % 10_000);
            let taken = set(elements.iter().map(<[usize; 2]>::as_slice));
            assert_eq!(taken.runs(), 2, "{step}");
            assert!(taken.contains(&[3, 9_999]) && !taken.contains(&[3, 10_000]));
            assert!(!taken.contains(&[3]) && !taken.contains(&[3, 0, 0]));
        }
    }

    #[test]
    fn records_with_two_streams_are_one_run_too() {
        let fields = (0..10_000).flat_map(|n| [[0, n, 1], [0, n, 4]]);
        let fields: Vec<_> = fields.collect();
        let taken = set(fields.iter().map(<[usize; 3]>::as_slice));
        assert_eq!(taken.runs(), 4);
        assert!(taken.contains(&[0, 77, 4]) && !taken.contains(&[0, 77, 2]));
    }

    #[test]
    fn numbers_have_no_neighbours_beyond_their_ends() {
        let taken = set([&[0][..], &[usize::MAX], &[usize::MAX - 1], &[1]]);
        assert_eq!(taken.runs(), 2);
        assert!(taken.contains(&[usize::MAX]) && !taken.contains(&[2]));
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            paths in prop::collection::vec(prop::collection::vec(0..4_usize, 0..4), 0..40),
        ) {
            let mut taken = TakenPaths::default();
            let mut model: HashSet<Vec<usize>> = HashSet::new();
            for path in &paths {
                prop_assert_eq!(taken.contains(path), model.contains(path));
                taken.insert(path);
                model.insert(path.clone());
                prop_assert!(model.iter().all(|path| taken.contains(path)));
            }
            // However it came about, the same paths are the same set.
            let mut sorted: Vec<_> = model.iter().map(Vec::as_slice).collect();
            sorted.sort_unstable();
            prop_assert_eq!(taken, set(sorted));
        }
    }
}
