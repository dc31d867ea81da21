//! Random programs, and how they shrink: steps go, then counts, gaps and images become smaller.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{any, prop_oneof, Just, Strategy};

use crate::images::Image;
use crate::program::{Action, Change, Config, Program, Step, LONGEST_GAP};

/// Programs of up to this many steps after the first, which starts the component.
const STEPS: usize = 9;

pub(crate) fn program() -> impl Strategy<Value = Program> {
    (count(), config(), vec(step(), 1..=STEPS)).prop_map(|(count, config, rest)| {
        let config = if config == Config::Missing {
            Config::A
        } else {
            config
        };
        let action = Action::Scale {
            image: Some(Image::V1),
            count,
            config,
            update: false,
        };
        let start = Step { action, gap: None };
        Program([start].into_iter().chain(rest).collect())
    })
}

fn step() -> impl Strategy<Value = Step> {
    let gap = option::weighted(0.45, 0..=LONGEST_GAP);
    (action(), gap).prop_map(|(action, gap)| Step { action, gap })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => image().prop_map(Action::Update),
        4 => (count(), config()).prop_map(|(count, config)| scale(None, count, config, false)),
        1 => (image(), count(), config())
            .prop_map(|(image, count, config)| scale(Some(image), count, config, false)),
        4 => (image(), count(), config())
            .prop_map(|(image, count, config)| scale(Some(image), count, config, true)),
        2 => Just(Action::Stop),
        3 => (1..=8_u64).prop_map(Action::Notes),
        1 => change().prop_map(Action::Link),
        1 => (prop_oneof![Just(Config::A), Just(Config::B)], change())
            .prop_map(|(config, change)| Action::Config(config, change)),
        1 => change().prop_map(Action::Policy),
        1 => change().prop_map(Action::Permission),
        1 => Just(Action::Cut),
    ]
}

fn scale(image: Option<Image>, count: u32, config: Config, update: bool) -> Action {
    Action::Scale {
        image,
        count,
        config,
        update,
    }
}

fn image() -> impl Strategy<Value = Image> {
    prop_oneof![
        4 => Just(Image::V1),
        5 => Just(Image::V2),
        2 => Just(Image::Slow),
        1 => Just(Image::Less),
        1 => Just(Image::Bumped),
        1 => Just(Image::Missing),
        1 => Just(Image::Text),
        1 => Just(Image::Empty),
    ]
}

fn count() -> impl Strategy<Value = u32> {
    1..=5_u32
}

fn config() -> impl Strategy<Value = Config> {
    prop_oneof![
        4 => Just(Config::None),
        4 => Just(Config::A),
        2 => Just(Config::B),
        1 => Just(Config::Missing),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    any::<bool>().prop_map(|put| if put { Change::Put } else { Change::Del })
}
