//! The rules can fail: on what was recorded of one update, with one thing changed in each.

use std::time::Duration;

use super::*;
use crate::model::{outcomes, Command};
use crate::observer::Notes;

/// The window of an update of three instances of the first version to the second one.
fn update() -> Window {
    let scale = Command::Scale {
        image: Image::V1,
        count: 3,
        config: Config::A,
        update: false,
    };
    let nothing = BTreeSet::from([State::default()]);
    let surroundings = Surroundings::default();
    let started = outcomes(&nothing, &[scale], &surroundings).last;
    Window {
        outcomes: outcomes(&started, &[Command::Update(Image::V2)], &surroundings),
        commands: 1,
        added: 3,
        chosen: BTreeSet::from([0, 3]),
        linked: (true, true),
        alike: true,
        ..Window::default()
    }
}

fn calls(way: Way, versions: &[u32]) -> impl Iterator<Item = Call> + '_ {
    versions.iter().map(move |version| Call {
        way,
        answer: Answer::Version(*version),
        took: Duration::from_millis(1),
    })
}

/// What is seen after that update when the versions answer in this order.
fn seen(versions: &[u32]) -> Seen {
    let ways = [Way::Caller, Way::Outside].into_iter();
    Seen {
        accepted: vec![true],
        record: Some(("v2".to_owned(), 3)),
        rest: ways.flat_map(|way| calls(way, versions)).collect(),
        linked: true,
        ..Seen::default()
    }
}

fn fits(judged: Judged, window: &Window, seen: &Seen) -> bool {
    let image = |reference: &str| reference.parse().ok();
    !fitting(judged, window, seen, image).is_empty()
}

fn rule(ours: &Seen) -> Option<u8> {
    let broken = judge(Judged::Ours, &update(), &seen(&[1, 1]), ours).err();
    broken.map(|it| it.rule)
}

#[test]
fn what_is_on_record_has_to_answer_here_and_the_old_version_on_a_stock_host() {
    for (versions, ours, stock) in [
        (&[2, 2], true, false),
        (&[1, 1], false, true),
        (&[1, 2], false, false),
        (&[2, 1], false, false),
    ] {
        assert_eq!(
            fits(Judged::Ours, &update(), &seen(versions)),
            ours,
            "{versions:?}"
        );
        assert_eq!(
            fits(Judged::AsStock, &update(), &seen(versions)),
            stock,
            "{versions:?}"
        );
    }
    let other_count = Seen {
        record: Some(("v2".to_owned(), 2)),
        ..seen(&[2, 2])
    };
    assert!(!fits(Judged::Ours, &update(), &other_count));
}

#[test]
fn the_old_version_may_go_on_while_something_keeps_the_new_one_from_serving() {
    let mut window = update();
    window.surroundings.permits = false;
    assert!(fits(Judged::Ours, &window, &seen(&[1, 1])));
    assert!(fits(Judged::Ours, &window, &seen(&[2, 2])));
    assert!(!fits(Judged::Ours, &window, &seen(&[1, 2])), "not both");
}

#[test]
fn nothing_may_answer_after_a_stop() {
    let mut window = update();
    let stop = Command::Scale {
        image: Image::V1,
        count: 0,
        config: Config::None,
        update: false,
    };
    window.outcomes = outcomes(&window.outcomes.last, &[stop], &Surroundings::default());
    let still = Seen {
        record: None,
        ..seen(&[1, 1])
    };
    assert!(!fits(Judged::Ours, &window, &still));
    assert!(fits(Judged::AsStock, &window, &still));
    assert!(fits(Judged::Ours, &window, &Seen::default()));
}

#[test]
fn a_call_that_fails_or_is_late_while_the_component_runs_breaks_rule_one() {
    let with = |answer, took| {
        let call = Call {
            way: Way::Caller,
            answer,
            took,
        };
        Seen {
            calls: vec![vec![call]],
            ..seen(&[2, 2])
        }
    };
    let soon = Duration::from_millis(5);
    assert_eq!(rule(&with(Answer::Version(1), soon)), None);
    assert_eq!(
        rule(&with(Answer::Error("stopped".to_owned()), soon)),
        Some(1)
    );
    assert_eq!(rule(&with(Answer::Version(1), 2 * BOUND)), Some(1));
}

#[test]
fn versions_that_answer_in_turn_break_rule_two() {
    let with = |versions: &[u32]| Seen {
        calls: vec![calls(Way::Caller, versions).collect()],
        ..seen(&[2, 2])
    };
    assert_eq!(rule(&with(&[1, 1, 2, 2])), None);
    assert_eq!(rule(&with(&[1, 2, 1])), Some(2));
}

#[test]
fn what_was_kept_from_serving_brings_one_change_without_a_command() {
    let changed = |kept, versions: &[u32]| {
        let window = Window {
            kept,
            commands: 0,
            ..update()
        };
        let seen = Seen {
            calls: vec![calls(Way::Caller, versions).collect()],
            ..Seen::default()
        };
        changed_once(&window, &seen).is_ok()
    };
    assert!(changed(true, &[1, 1, 2, 2]));
    assert!(!changed(true, &[1, 2, 1]));
    assert!(!changed(false, &[1, 1, 2, 2]));
}

#[test]
fn calls_that_are_lost_or_begun_twice_or_too_many_at_once_break_rules() {
    let with = |begun: &[u64], peak| Seen {
        notes: Some(Notes {
            accepted: BTreeSet::from([1, 2]),
            begun: begun.to_vec(),
            peak,
        }),
        ..seen(&[2, 2])
    };
    assert_eq!(rule(&with(&[2, 1], 6)), None);
    assert_eq!(rule(&with(&[1], 1)), Some(1));
    assert_eq!(rule(&with(&[1, 2, 1], 3)), Some(1));
    assert_eq!(rule(&with(&[1, 2], 7)), Some(3));
}

#[test]
fn what_an_update_has_left_runs_calls_beside_what_is_on_record_on_a_stock_host_only() {
    let scale = Command::Scale {
        image: Image::V2,
        count: 4,
        config: Config::A,
        update: false,
    };
    let surroundings = Surroundings::default();
    let scaled = outcomes(&update().outcomes.last, &[scale], &surroundings).last;
    let window = Window {
        outcomes: outcomes(&scaled, &[], &surroundings),
        ..Window::default()
    };
    for (judged, most) in [(Judged::AsStock, 3 + 4), (Judged::Ours, 4)] {
        let with = |peak| Seen {
            notes: Some(Notes {
                peak,
                ..Notes::default()
            }),
            ..Seen::default()
        };
        let broken = |peak| at_once(judged, &window, &with(peak)).is_err();
        assert_eq!(
            (broken(most), broken(most + 1)),
            (false, true),
            "{judged:?}"
        );
    }
}

#[test]
fn what_differs_otherwise_breaks_rule_four() {
    let refused = Seen {
        accepted: vec![false],
        ..seen(&[2, 2])
    };
    assert_eq!(rule(&refused), Some(4));
    let asked = Seen {
        asked: vec![3, 2],
        ..seen(&[2, 2])
    };
    assert_eq!(rule(&asked), Some(4));
    let unlinked = Seen {
        linked: false,
        ..seen(&[2, 2])
    };
    assert_eq!(rule(&unlinked), Some(4));
    let event = Event {
        component: "callee".to_owned(),
        kind: "component_scaled".to_owned(),
        count: 3,
    };
    let stock = Seen {
        events: vec![event],
        ..seen(&[1, 1])
    };
    let broken = judge(Judged::Ours, &update(), &stock, &seen(&[2, 2]));
    assert_eq!(broken.map_err(|it| it.rule), Err(4));
}
