//! The table in `docs/guarantees.md`, and where the cells of it that hold are shown.

use std::collections::BTreeSet;
use std::path::Path;

use super::HERE;

/// A promise, the test of it, and the file that it is in.
type Shown = (&'static str, &'static str, &'static str);

/// Cells that are shown elsewhere: the kind of call, and what shows each promise.
///
/// What is shown with a transport or a runtime alone holds for each function that passes it.
#[rustfmt::skip]
const ELSEWHERE: &[(&str, &[Shown])] = &[
    (
        "with_results",
        &[
            ("at_most_once", "a_call_runs_exactly_once", "tests/end_to_end/failures.rs"),
            ("ends", "a_trap_reaches_the_caller_at_once", "tests/end_to_end/failures.rs"),
            ("cause", "the_caller_s_error_has_the_reason_of_a_trap", "tests/end_to_end/failures.rs"),
            ("caller_gone", "a_callee_whose_caller_has_gone_gives_its_instance_back", "tests/end_to_end/cancellation.rs"),
            ("permit", "a_callee_that_waits_leaves_its_instance_when_its_time_is_over", "tests/end_to_end/instances.rs"),
            ("stop_update", "what_waits_is_begun_once_through_updates_and_scales", "tests/end_to_end/generations.rs"),
            ("bounded", "a_queue_that_is_full_spills_over_and_no_call_is_lost", "tests/end_to_end/payloads.rs"),
            ("counted", "calls_are_counted_for_each_function", "tests/end_to_end/look_inside.rs"),
        ],
    ),
    (
        "without_results",
        &[
            ("at_most_once", "calls_without_results_wait_for_an_instance_and_are_all_carried_out_once", "tests/end_to_end/one_way.rs"),
            ("ends", "a_callee_that_waits_ends_with_its_time_also_when_no_one_waits_for_it", "wrpc-runtime-wasmtime/tests/serve/main.rs"),
            ("permit", "a_callee_that_waits_ends_with_its_time_also_when_no_one_waits_for_it", "wrpc-runtime-wasmtime/tests/serve/main.rs"),
            ("stop_update", "calls_without_results_that_wait_when_their_callee_is_scaled_are_carried_out_once", "tests/end_to_end/one_way.rs"),
            ("bounded", "what_is_written_to_a_call_that_waits_counts_in_the_queue", "../dispatch/conformance/src/queue.rs"),
            ("counted", "calls_without_results_that_no_one_is_left_to_carry_out_are_counted_and_named_once", "tests/end_to_end/one_way.rs"),
        ],
    ),
    (
        "streams_in",
        &[
            ("at_most_once", "a_stream_whose_caller_has_gone_on_comes_whole_and_once", "tests/end_to_end/one_way_streams.rs"),
            ("ends", "a_callee_that_traps_with_a_stream_ends_the_call_at_once_and_its_caller_learns_why", "tests/end_to_end/streams.rs"),
            ("cause", "a_callee_that_traps_with_a_stream_ends_the_call_at_once_and_its_caller_learns_why", "tests/end_to_end/streams.rs"),
            ("caller_gone", "a_callee_learns_that_a_stream_was_cut_off_and_leaves_its_instance", "tests/end_to_end/one_way_streams.rs"),
            ("permit", "a_callee_learns_that_a_stream_was_cut_off_and_leaves_its_instance", "tests/end_to_end/one_way_streams.rs"),
            ("stop_update", "streams_that_wait_when_their_callee_is_scaled_come_whole_and_once", "tests/end_to_end/one_way_streams.rs"),
            ("bounded", "a_client_that_does_not_read_stops_who_sends_and_gets_all_of_it_later", "tests/end_to_end/streams.rs"),
            ("counted", "a_stream_whose_caller_has_gone_on_comes_whole_and_once", "tests/end_to_end/one_way_streams.rs"),
        ],
    ),
    (
        "streams_out",
        &[
            ("at_most_once", "streams_that_wait_when_their_callee_is_scaled_come_back_once", "tests/end_to_end/streams.rs"),
            ("ends", "a_stream_that_is_cut_off_on_its_way_in_is_not_whole_on_its_way_out", "tests/end_to_end/streams.rs"),
            ("cause", "a_callee_that_traps_with_a_stream_ends_the_call_at_once_and_its_caller_learns_why", "tests/end_to_end/streams.rs"),
            ("caller_gone", "a_client_that_goes_in_the_middle_of_a_stream_leaves_the_instance_to_the_next", "tests/end_to_end/streams.rs"),
            ("permit", "a_client_that_goes_in_the_middle_of_a_stream_leaves_the_instance_to_the_next", "tests/end_to_end/streams.rs"),
            ("stop_update", "streams_that_wait_when_their_callee_is_scaled_come_back_once", "tests/end_to_end/streams.rs"),
            ("bounded", "a_client_that_does_not_read_stops_who_sends_and_gets_all_of_it_later", "tests/end_to_end/streams.rs"),
            ("counted", "a_stream_comes_back_from_another_component_before_its_end_is_sent", "tests/end_to_end/streams.rs"),
        ],
    ),
    (
        "keyvalue_blobstore",
        &[("caller_gone", "a_callee_that_waits_ends_when_its_caller_goes", "wrpc-runtime-wasmtime/tests/serve/main.rs")],
    ),
    (
        "http_between_components",
        &[
            ("at_most_once", "a_component_here_answers_requests_with_and_without_body_and_trailers", "wrpc-transport-nats/tests/http.rs"),
            ("ends", "a_request_that_is_not_answered_ends_with_an_error_of_http_and_its_instance_is_free", "tests/end_to_end/http_between.rs"),
            ("permit", "a_request_that_is_not_answered_ends_with_an_error_of_http_and_its_instance_is_free", "tests/end_to_end/http_between.rs"),
            ("stop_update", "what_waits_when_the_component_is_scaled_is_answered_and_what_waits_when_it_is_stopped_is_refused", "tests/end_to_end/http_between.rs"),
            ("bounded", "a_body_that_no_one_reads_ends_its_request_before_it_takes_all_of_the_memory", "tests/end_to_end/http_between.rs"),
            ("counted", "a_request_to_a_component_of_the_host_stays_in_memory", "tests/end_to_end/http_between.rs"),
        ],
    ),
    (
        "from_nats",
        &[
            ("at_most_once", "a_stock_caller_does_not_take_a_callee_that_ran_for_absent", "wrpc-transport-nats/tests/chains.rs"),
            ("ends", "a_callee_that_waits_leaves_its_instance_when_its_time_is_over", "tests/end_to_end/instances.rs"),
            ("permit", "a_callee_that_waits_leaves_its_instance_when_its_time_is_over", "tests/end_to_end/instances.rs"),
            ("stop_update", "no_call_is_lost_while_versions_come_and_go", "wrpc-transport-nats/tests/generations.rs"),
            ("bounded", "too_much_that_no_one_reads_ends_the_call_and_frees_it", "wrpc-transport-nats/src/nats/call/tests.rs"),
            ("counted", "calls_and_failures_are_counted_alike", "tests/end_to_end/telemetry.rs"),
        ],
    ),
    (
        "locallattice",
        &[
            ("at_most_once", "an_older_interface_is_not_called_when_the_newer_one_has_run", "lattice/tests/classes.rs"),
            ("ends", "a_call_that_takes_too_long_is_ended", "lattice/tests/lifetime.rs"),
            ("cause", "a_trap_is_an_error_with_its_cause_and_the_next_call_works", "lattice/tests/calls.rs"),
            ("caller_gone", "a_call_that_is_dropped_ends_along_the_whole_chain", "lattice/tests/lifetime.rs"),
            ("permit", "many_calls_at_once_are_all_answered_and_leave_nothing", "lattice/tests/calls.rs"),
            ("bounded", "parameter_bytes_fill_a_queue_too", "../dispatch/conformance/src/queue.rs"),
        ],
    ),
];

/// The cells of the table with `at most once` in its head that say `yes`, as kind of call and promise.
fn cells(page: &str) -> Vec<(String, String)> {
    let mut rows = page
        .lines()
        .skip_while(|line| !line.contains("| at most once |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| Vec::from_iter(line.trim_matches('|').split('|').map(str::trim)));
    let head: Vec<_> = rows
        .next()
        .expect("the table")
        .into_iter()
        .map(name)
        .collect();
    let mut cells = Vec::new();
    for row in rows.skip(1) {
        assert_eq!(row.len(), head.len(), "{row:?}");
        for (promise, cell) in head.iter().zip(&row).skip(1) {
            if cell.starts_with("yes") {
                cells.push((name(row[0]), promise.clone()));
            }
        }
    }
    cells
}

/// The words of a heading of the table, as a test or a module is named. Footnotes are none.
fn name(heading: &str) -> String {
    let letters = heading.to_lowercase();
    let words = letters.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// Whether `source` has a test of this name, one that is run on each route, or a function of the
/// suite that all backends run.
fn has_test(source: &str, test: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let on_routes = format!("{test},");
    lines.contains(&&*on_routes)
        || (0..lines.len()).any(|at| {
            let Some((before, rest)) = lines[at].split_once("fn ") else {
                return false;
            };
            let named = rest.strip_prefix(test);
            let named = named.is_some_and(|rest| rest.starts_with(['(', '<']));
            let is_test = at > 0 && lines[at - 1].contains("test");
            named && (before == "pub async " || is_test)
        })
}

#[test]
fn each_cell_that_holds_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| {
        let path = root.join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let mut shown: BTreeSet<_> = HERE.iter().copied().collect();
    for (kind, promises) in ELSEWHERE {
        for (promise, test, file) in *promises {
            assert!(has_test(&read(file), test), "{file} has no test {test}");
            assert!(
                shown.insert((kind, promise)),
                "{kind}, {promise} is shown twice"
            );
        }
    }
    let page = read("docs/guarantees.md");
    let cells = cells(&page);
    let cells: BTreeSet<_> = cells
        .iter()
        .map(|(kind, promise)| (&**kind, &**promise))
        .collect();
    let untested: Vec<_> = cells.difference(&shown).collect();
    assert!(
        untested.is_empty(),
        "the page says `yes`, and there is no test: {untested:?}"
    );
    let unsaid: Vec<_> = shown.difference(&cells).collect();
    assert!(
        unsaid.is_empty(),
        "there is a test, and the page does not say `yes`: {unsaid:?}"
    );
}

#[test]
fn a_test_that_is_not_there_and_a_cell_that_is_new_are_noticed() {
    let source =
        "#[tokio::test]\nasync fn one() {\n}\nfn two() {}\npub async fn three<B>(make: B) {\non_routes! { OURS:\n    five,\n}\n";
    assert!(has_test(source, "one") && has_test(source, "three") && has_test(source, "five"));
    assert!(!has_test(source, "two") && !has_test(source, "on") && !has_test(source, "four"));
    let page = "\n| call | at most once | stop, update |\n|---|---|---|\n| `A`, b¹ | yes² | no³ |\n| c | as D | yes |\n\n| x |";
    let expected = [("a_b", "at_most_once"), ("c", "stop_update")];
    assert_eq!(
        cells(page),
        expected.map(|(kind, promise)| (kind.into(), promise.into()))
    );
}
