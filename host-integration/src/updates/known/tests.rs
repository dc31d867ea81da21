use super::*;

fn scaling(count: u32, config: &[&str]) -> Scaling {
    Scaling {
        count,
        config: config.iter().map(ToString::to_string).collect(),
    }
}

/// A component that runs `v1`.
struct Component {
    known: Known,
    reference: String,
    count: u32,
    serves: bool,
    lapsed: u64,
    hears: bool,
}

impl Component {
    fn new() -> Self {
        let mut it = Self {
            known: Known::default(),
            reference: "v1".into(),
            count: 0,
            serves: true,
            lapsed: 0,
            hears: true,
        };
        it.scale(3, &["a"], "v1");
        assert_eq!(it.step(), Step::Nothing);
        it
    }

    fn ask(&mut self, count: u32, config: &[&str], reference: &str) {
        self.known.ask(Asked {
            scaling: scaling(count, config),
            reference: reference.into(),
            allow_update: true,
            anew: false,
            newest: 0,
            at: Instant::now(),
        });
    }

    fn scale(&mut self, count: u32, config: &[&str], reference: &str) {
        self.ask(count, config, reference);
        self.take(count, reference);
    }

    /// As [`Self::scale`], with a configuration named `a` and a reference that it is not to be updated to.
    fn scale_without_update(&mut self, count: u32, reference: &str) {
        self.known.ask(Asked {
            scaling: scaling(count, &["a"]),
            reference: reference.into(),
            allow_update: false,
            anew: false,
            newest: 0,
            at: Instant::now(),
        });
        self.take(count, reference);
    }

    /// The host scales it. When that is all it puts the reference of the command on record, too.
    fn take(&mut self, count: u32, reference: &str) {
        let before = match self.count {
            0 => reference,
            _ => &self.reference,
        };
        self.known.take(count, before, self.lapsed);
        (self.count, self.reference) = (count, reference.into());
    }

    fn ask_update(&mut self, reference: &str) {
        self.known.ask_update(reference.into(), false);
    }

    /// The host carries out an update.
    fn updated(&mut self, reference: &str) {
        self.lapsed += 1;
        self.known.made += 1;
        self.known.take(self.count, reference, self.lapsed);
        self.known.take(0, reference, self.lapsed);
        self.reference = reference.into();
    }

    fn update(&mut self, reference: &str) {
        self.ask_update(reference);
        self.updated(reference);
    }

    fn step(&mut self) -> Step {
        let seen = Seen {
            reference: &self.reference,
            count: self.count,
            serves: self.serves,
            lapsed: self.lapsed,
        };
        self.known.step(seen, self.hears)
    }

    fn exchange(&mut self) -> (String, String) {
        match self.step() {
            Step::Exchange { through, to } => (through, to),
            step => panic!("{step:?}"),
        }
    }
}

fn exchange(through: &str, to: &str) -> (String, String) {
    (through.into(), to.into())
}

#[test]
fn what_an_update_has_made_is_made_anew_once() {
    let mut it = Component::new();
    it.update("v2");
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
    it.known.settle(it.lapsed);
    assert_eq!(it.step(), Step::Nothing);
    assert!(!it.known.has_news(it.lapsed));
}

#[test]
fn what_the_host_took_last_counts_and_not_what_it_refused() {
    let mut it = Component::new();
    it.ask(5, &["missing"], "v1");
    it.known.refuse(5, "v1", 0, "there is none".into());
    let before = it.known.told;
    // In whatever order it answers.
    it.ask(7, &["b"], "v1");
    it.ask(8, &["missing"], "v1");
    it.known.refuse(8, "v1", 0, "no".into());
    it.take(7, "v1");
    assert_eq!(it.known.said_of(8, before), Some(Err("no".into())));
    it.update("v2");
    assert_eq!(it.step(), Step::Remake(scaling(7, &["b"])));
}

#[test]
fn what_is_said_of_an_update_is_no_answer_to_a_command_that_is_refused() {
    let mut it = Component::new();
    it.ask_update("v2");
    it.ask(3, &["missing"], "v1");
    it.updated("v2");
    it.known.refuse(3, "v1", it.lapsed, "there is none".into());
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
    // Nor to a stop.
    it.ask_update("v3");
    it.ask(0, &[], "v2");
    it.updated("v3");
    it.known
        .refuse(0, "v2", it.lapsed, "policy denied it".into());
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
}

#[test]
fn what_is_said_of_what_was_sent_here_is_no_answer_to_others() {
    let mut it = Component::new();
    it.update("v2");
    let anew = |count| Asked {
        scaling: scaling(count, &["a", "a"]),
        reference: "v2".into(),
        allow_update: false,
        anew: true,
        newest: 0,
        at: Instant::now(),
    };
    it.known.ask(anew(3));
    it.ask(3, &["b"], "v2");
    it.known
        .refuse(3, "v2", it.lapsed, "policy denied it".into());
    it.take(3, "v2");
    assert_eq!(it.step(), Step::Remake(scaling(3, &["b"])));
    it.known.ask(anew(3));
    it.known
        .refuse(3, "v2", it.lapsed, "policy denied it".into());
    assert_eq!(it.step(), Step::Remake(scaling(3, &["b"])));
}

#[test]
fn what_was_said_before_is_told_apart() {
    let mut known = Known::default();
    known.take(3, "v1", 0);
    let before = known.told;
    assert_eq!(known.said_of(3, before), None);
    known.take(4, "v1", 0);
    assert_eq!(known.said_of(3, before), None);
    known.take(3, "v1", 0);
    known.refuse(5, "v1", 0, String::new());
    assert_eq!(known.said_of(3, before), Some(Ok(())));
}

#[test]
fn a_number_that_an_update_has_undone_is_restored() {
    let mut it = Component::new();
    it.ask_update("v2");
    it.scale(5, &["b"], "v1");
    it.updated("v2");
    it.count = 3;
    assert_eq!(it.step(), Step::Remake(scaling(5, &["b"])));
}

#[test]
fn a_command_that_was_missed_is_noticed() {
    let mut it = Component::new();
    it.known.miss();
    assert!(it.known.has_news(it.lapsed));
    it.count = 4;
    it.update("v2");
    assert_eq!(it.step(), Step::Unknown);
    // Unless the inventory shows that it cannot matter.
    it.count = 3;
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
    it.count = 4;
    it.scale(4, &["b"], "v2");
    assert_eq!(it.step(), Step::Remake(scaling(4, &["b"])));
    // Nothing was ever heard.
    it.known = Known::default();
    assert_eq!(it.step(), Step::Unknown);
}

#[test]
fn without_events_the_inventory_says_what_was_taken() {
    let mut it = Component::new();
    it.hears = false;
    it.ask(5, &["b"], "v1");
    it.lapsed = 1;
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
    it.count = 5;
    assert_eq!(it.step(), Step::Remake(scaling(5, &["b"])));
}

#[test]
fn what_was_missed_of_a_scale_with_an_image_shows_in_the_inventory() {
    let mut it = Component::new();
    it.ask(5, &["a"], "v2");
    it.known.miss();
    (it.count, it.reference) = (5, "v2".into());
    assert_eq!(it.exchange(), exchange("v1", "v2"));
}

#[test]
fn a_variation_asks_for_no_other_number_if_there_is_a_name_to_repeat() {
    for (chosen, varied) in [
        (scaling(4, &["a", "b"]), scaling(4, &["a", "b", "b"])),
        (scaling(4, &[]), scaling(3, &[])),
        (scaling(1, &[]), scaling(2, &[])),
    ] {
        assert_eq!(chosen.varied(), varied);
    }
}

#[test]
fn a_component_that_is_stopped_stays_so() {
    let mut it = Component::new();
    it.ask(0, &[], "v1");
    assert_eq!(it.step(), Step::Wait);
    it.take(0, "v1");
    assert!(it.known.has_news(it.lapsed));
    // Another host of this process serves it.
    assert_eq!(it.step(), Step::Nothing);
    // It was made anew for an update that had lapsed, or is on record with no one who serves it.
    it.known.varied = true;
    assert_eq!(it.step(), Step::Stop);
    it.known.varied = false;
    it.serves = false;
    assert_eq!(it.step(), Step::Stop);
    // Unless someone starts it.
    it.ask(2, &[], "v1");
    assert_eq!(it.step(), Step::Nothing);
}

#[test]
fn a_reference_that_changes_with_the_scale_is_exchanged() {
    let mut it = Component::new();
    it.scale(5, &["a"], "v2");
    assert_eq!(it.exchange(), exchange("v1", "v2"));
    it.scale(6, &["a"], "v2");
    assert_eq!(it.exchange(), exchange("v1", "v2"));
    it.known.exchanging = true;
    it.known.ask_update("v1".into(), true);
    it.updated("v1");
    assert_eq!(it.exchange(), exchange("v1", "v2"));
    it.known.ask_update("v2".into(), true);
    it.updated("v2");
    it.known.exchanged("v2");
    assert_eq!(it.step(), Step::Remake(scaling(6, &["a"])));
}

#[test]
fn a_reference_that_the_host_has_updated_to_is_not_exchanged() {
    let mut it = Component::new();
    it.ask(3, &["a"], "v2");
    it.known.take(3, "v1", 0);
    assert_eq!(it.step(), Step::Nothing, "the image is on its way");
    it.updated("v2");
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
    // One that it was updated to before counts as what it has.
    it.known.settle(it.lapsed);
    it.update("v3");
    it.scale(4, &["a"], "v2");
    assert_eq!(it.exchange(), exchange("v3", "v2"));
}

#[test]
fn of_two_updates_at_once_the_one_counts_that_was_carried_out() {
    let mut it = Component::new();
    it.ask_update("v3");
    it.ask_update("v1");
    it.updated("v3");
    it.scale(2, &["a"], "v1");
    assert_eq!(it.exchange(), exchange("v3", "v1"));
}

#[test]
fn an_update_to_another_reference_counts_and_not_the_scale_before_it() {
    let mut it = Component::new();
    it.scale(5, &["a"], "v2");
    it.exchange();
    it.known.exchanging = true;
    it.known.ask_update("v1".into(), true);
    it.updated("v1");
    it.ask_update("v1");
    assert_eq!(it.step(), Step::Remake(scaling(5, &["a"])));
}

#[test]
fn a_reference_that_is_not_to_be_updated_to_is_left() {
    let mut it = Component::new();
    it.scale_without_update(5, "v2");
    assert_eq!(it.step(), Step::Nothing);
}

#[test]
fn one_that_is_scaled_while_its_image_is_on_its_way_is_exchanged() {
    let mut it = Component::new();
    it.scale(5, &["a"], "v2");
    it.scale_without_update(1, "v2");
    assert_eq!(it.exchange(), exchange("v1", "v2"));
}

#[test]
fn a_scale_that_was_sent_here_and_undid_an_update_is_put_right() {
    let mut it = Component::new();
    it.update("v2");
    it.update("v3");
    it.reference = "v2".into();
    assert_eq!(it.exchange(), exchange("v3", "v3"));
}

#[test]
fn one_that_was_started_over_what_an_update_has_left_is_exchanged() {
    let mut it = Component::new();
    it.ask_update("v2");
    it.scale(0, &[], "v1");
    (it.count, it.reference) = (3, "v2".into());
    it.scale(2, &["a"], "v1");
    assert_eq!(it.exchange(), exchange("v2", "v1"));
}

#[tokio::test(start_paused = true)]
async fn one_that_loads_is_waited_for_but_not_for_ever() {
    let mut it = Component::new();
    it.ask_update("slow");
    assert!(it.known.is_updating());
    it.updated("slow");
    assert!(!it.known.is_updating());
    it.ask_update("slower");
    assert!(it.known.is_updating());
    tokio::time::advance(LOADING).await;
    assert!(!it.known.is_updating());
    // One to what it has already.
    it.ask_update("slow");
    assert!(!it.known.is_updating());
}

#[test]
fn an_update_that_the_host_has_nothing_to_do_for_is_not_waited_for() {
    let mut it = Component::new();
    it.scale(0, &[], "v1");
    // The component is stopped.
    it.ask_update("v3");
    it.ask(2, &["a"], "v2");
    // It is about to be started from that.
    it.ask_update("v2");
    it.take(2, "v2");
    it.update("v4");
    assert!(!it.known.is_updating());
    assert_eq!(it.step(), Step::Remake(scaling(2, &["a"])));
}

#[test]
fn a_scale_of_others_after_an_update_has_made_it_anew() {
    let mut it = Component::new();
    assert_eq!(it.known.scaled(3), None, "it was started");
    it.updated("v2");
    it.scale(5, &["a"], "v2");
    assert_eq!(it.known.scaled(5), Some(0));
    assert_eq!(it.known.scaled(4), None, "another number is on record");
    // With the same number, it may have had nothing to do.
    it.scale(5, &["b"], "v2");
    assert_eq!(it.known.scaled(5), None);
    it.scale(6, &["b"], "v2");
    it.ask_update("v3");
    it.updated("v3");
    assert_eq!(it.known.scaled(6), None);
    it.scale(0, &["b"], "v3");
    assert_eq!(it.known.scaled(0), None);
}

/// The update that is a part of a scale finds its reference on record, if the scale has put it there
/// and nothing else came in between. The host says nothing of it then.
#[tokio::test(start_paused = true)]
async fn an_update_that_most_likely_has_nothing_to_do_is_not_waited_for_long() {
    let mut it = Component::new();
    it.ask(2, &["a"], "v2");
    it.ask(2, &[], "v3");
    it.take(2, "v2");
    it.take(2, "v3");
    assert!(it.known.is_updating(), "another command came in between");
    it.step();
    tokio::time::advance(FOLLOWING).await;
    assert!(!it.known.is_updating());

    // To this one the host may have something to do: nothing else differs.
    it.scale(2, &[], "v4");
    tokio::time::advance(FOLLOWING).await;
    assert!(it.known.is_updating());
}

#[test]
fn what_is_said_of_two_commands_in_another_order_is_put_right() {
    let mut it = Component::new();
    it.ask(1, &[], "slow");
    it.ask(1, &["a"], "v1");
    // The second one overtakes the first, whose image takes its time.
    it.take(1, "v1");
    assert_eq!(it.step(), Step::Nothing);
    it.take(1, "slow");
    assert!(it.known.has_news(it.lapsed));
    assert_eq!(it.exchange(), exchange("v1", "v1"));
}

#[test]
fn commands_without_an_answer_do_not_pile_up() {
    let mut it = Component::new();
    (0..100).for_each(|count| it.ask(count, &[], "v1"));
    assert_eq!(it.known.asked.len(), MAX_ASKED);
    it.take(99, "v1");
    assert_eq!(it.known.taken(), Some(scaling(99, &[])));
}

#[test]
fn a_version_that_exports_nothing_is_not_made_anew() {
    let mut it = Component::new();
    it.ask_update("nothing");
    it.known.take(3, "nothing", it.lapsed);
    it.known.take(0, "nothing", it.lapsed);
    it.reference = "nothing".into();
    assert_eq!(it.step(), Step::Nothing);
    it.update("v2");
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
}

#[tokio::test(start_paused = true)]
async fn images_that_load_again_and_again_hold_a_component_back_for_as_long_as_one_may_take() {
    let mut held = HeldBack::default();
    let began = Instant::now();
    let mut said = Vec::new();
    while held.goes_on(true) {
        if held.says() {
            said.push(began.elapsed());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(said, [LOADS_LONG], "it is said once");
    assert_eq!(began.elapsed(), LOADING);
    assert!(!held.goes_on(true), "it does what there is to do");
    assert!(!held.goes_on(false));
    assert!(held.goes_on(true), "and holds back for another one");
}

/// The host carries it out as an update, which fails.
#[test]
fn a_scale_that_changes_the_image_only_leaves_the_one_on_record_to_take_effect() {
    let mut it = Component::new();
    it.scale(5, &["a"], "v2");
    it.ask(5, &["a"], "missing");
    it.known.take(5, "v2", it.lapsed);
    assert_eq!(it.exchange(), exchange("v1", "v2"));
}

#[test]
fn a_scale_that_changes_the_image_only_to_the_one_on_record_wishes_for_it() {
    let mut it = Component::new();
    it.scale_without_update(5, "v2");
    assert_eq!(it.step(), Step::Nothing);
    it.ask(5, &["a"], "v2");
    it.known.take(5, "v2", it.lapsed);
    assert_eq!(it.exchange(), exchange("v1", "v2"));
}

/// The host says of an update before that is on record. Between the two there may be a stop, and a
/// look that finds nothing.
#[test]
fn what_an_update_puts_on_record_after_a_stop_is_made_anew_once_it_is_started() {
    let mut it = Component::new();
    it.update("v2");
    it.scale(0, &[], "v1");
    it.known.gone(it.lapsed);
    (it.count, it.reference) = (3, "v2".into());
    it.scale_without_update(3, "v1");
    assert!(it.known.has_news(it.lapsed));
    // The host had nothing to start.
    it.reference = "v2".into();
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
    assert!(!it.known.is_updating(), "no image is on its way");
}

#[test]
fn an_update_that_failed_is_not_taken_for_the_next_one_to_the_same_image() {
    let mut it = Component::new();
    it.ask_update("v2");
    it.known.made = 1;
    it.ask_update("v2");
    // All that was made has gone when it is heard.
    it.known.made = 0;
    it.known.take(3, "v2", it.lapsed);
    it.known.take(0, "v2", it.lapsed);
    it.reference = "v2".into();
    assert_eq!(it.step(), Step::Remake(scaling(3, &["a"])));
}

#[test]
fn with_a_stop_all_ends_that_was_there_when_it_was_asked_for() {
    let mut it = Component::new();
    assert_eq!(it.known.stopped_below(), None);
    it.known.ask(Asked {
        scaling: scaling(0, &[]),
        reference: "v1".into(),
        allow_update: false,
        anew: false,
        newest: 7,
        at: Instant::now(),
    });
    assert_eq!(it.known.stopped_below(), None);
    it.take(0, "v1");
    assert_eq!(it.known.stopped_below(), Some(8));
    assert_eq!(it.known.stopped_below(), None);
}

#[test]
fn of_the_images_that_were_scaled_to_it_is_known_that_policy_was_asked() {
    let mut it = Component::new();
    it.update("v2");
    assert!(it.known.is_decided("v1"));
    assert!(!it.known.is_decided("v2"), "nothing is asked at an update");
    for image in 0..MAX_DECIDED {
        it.scale(1, &[], &image.to_string());
    }
    assert!(!it.known.is_decided("v1"), "no more than so many are kept");
    assert_eq!(it.known.decided.len(), MAX_DECIDED);
}

/// The host answers that it is updated already, and says nothing more.
#[test]
fn an_update_to_the_reference_that_a_scale_has_put_on_record_is_looked_at() {
    let mut it = Component::new();
    it.scale_without_update(4, "v2");
    it.reference = "v2".into();
    assert_eq!(it.step(), Step::Nothing);
    assert!(!it.known.has_news(it.lapsed));
    it.ask_update("v2");
    assert!(it.known.has_news(it.lapsed));
    assert_eq!(it.exchange(), exchange("v1", "v2"));
    it.ask_update("v2");
    it.known.exchanged("v2");
    it.step();
    it.ask_update("v2");
    assert!(!it.known.has_news(it.lapsed), "there is nothing to do");
}
