//! The conformance suite that every backend runs.
//!
//! [`suite!`] makes one test of each case. A case is a function that is generic over [`Backend`]; those in
//! [`stream`] drive a byte stream by itself, the others whole calls through a
//! [`Dispatcher`](inhost_dispatch::Dispatcher). [`model`] does so at random.
//!
//! ```ignore
//! inhost_conformance::suite!(|limit| MyBackend::new(limit));
//! ```

use std::num::NonZeroUsize;

use inhost_dispatch::Backend;

pub mod call;
pub mod caller;
pub mod cancel;
pub mod generations;
pub mod leave;
pub mod memory;
pub mod model;
pub mod modes;
pub mod observe;
pub mod paths;
pub mod queue;
pub mod remote;
pub mod running;
pub mod stream;
pub mod support;
pub mod tasks;

/// Makes a backend whose streams hold up to the given number of bytes.
pub trait Make<B: Backend>: Fn(NonZeroUsize) -> B + Copy + Send + 'static {}

impl<B: Backend, F: Fn(NonZeroUsize) -> B + Copy + Send + 'static> Make<B> for F {}

/// Makes a test of each case of the suite. Takes a function from a limit in bytes to a backend.
#[macro_export]
macro_rules! suite {
    ($make:expr) => {
        $crate::cases! { $make, stream:
            shutdown_ends_the_stream_after_its_bytes
            dropping_the_writer_ends_the_stream_after_its_bytes
            shutdown_does_not_wait_for_the_reader
            writing_after_shutdown_is_a_broken_pipe
            shutdown_twice_is_no_error
            shutdown_without_a_reader_is_no_error
            dropping_the_reader_breaks_the_pipe
            a_waiting_writer_is_woken_when_the_reader_goes
            a_waiting_writer_is_woken_when_there_is_room
            a_waiting_reader_is_woken_by_bytes
            a_waiting_reader_is_woken_by_shutdown
            a_waiting_reader_is_woken_when_the_writer_goes
            empty_io_returns_at_once
            the_limit_counts_bytes_and_not_writes
            a_limit_of_one_byte_passes_everything
            bytes_are_there_without_flush
            halves_live_in_tasks_of_their_own
            a_cancelled_write_leaves_the_stream_whole
            a_reader_and_a_writer_in_one_task_let_others_run
            agrees_with_a_model
        }
        $crate::cases! { $make, call:
            a_call_carries_context_parameters_and_results
            a_callee_waits_for_parameters_only_for_so_long
            a_callee_takes_no_more_bytes_of_parameters_than_it_can_hold
            parameters_and_results_stream_at_the_same_time
            a_callee_that_ends_without_results_is_an_error_that_names_it
            a_callee_that_fails_after_some_results_gives_them_first
            a_caller_that_waits_learns_at_once_that_the_callee_failed
            a_callee_whose_task_ends_in_any_way_has_failed
            a_callee_that_goes_after_shutdown_has_finished
            a_callee_that_shuts_down_a_nested_result_only_has_failed
            a_caller_that_ends_its_parameters_by_dropping_them_is_a_clean_end
            a_callee_whose_caller_is_gone_gets_a_broken_pipe
            a_caller_whose_callee_is_gone_gets_a_broken_pipe
            a_side_that_waits_for_room_learns_that_the_other_is_gone
            empty_io_on_a_call_returns_at_once
            each_stream_of_a_call_has_a_limit_of_its_own
            payloads_larger_than_every_buffer_pass
            many_callers_with_payloads_larger_than_every_buffer_pass
            a_cancelled_read_loses_nothing
        }
        $crate::cases! { $make, caller:
            a_callee_says_why_it_failed
            a_callee_that_ran_is_not_taken_for_one_that_is_not_there
            a_cause_does_not_spoil_finished_results
            what_a_callee_says_too_late_changes_nothing
            an_answer_is_read_after_what_was_written
            one_piece_passes_as_it_is
            what_was_written_comes_in_pieces_too
            an_answer_of_a_callee_that_fails_is_no_result
            an_answer_to_no_one_is_a_broken_pipe
            who_writes_to_a_callee_that_was_cut_off_hears_that_it_failed
            a_callee_learns_that_its_caller_has_gone
            a_caller_that_has_its_results_is_not_gone
            a_call_whose_caller_wants_no_results_runs
            a_caller_that_gave_up_waiting_is_gone
            a_caller_that_waits_for_the_end_wants_no_results
            streams_dropped_at_once_are_not_missed
            only_local_calls_have_callers
            a_callee_learns_the_types_that_its_caller_has
            a_side_says_that_what_it_sends_is_whole
        }
        $crate::cases! { $make, paths:
            a_path_works_whoever_asks_first
            paths_work_in_both_directions_deep_and_by_the_hundred
            a_nested_handle_leads_to_deeper_paths
            what_was_written_waits_for_a_reader_that_asks_later
            a_dropped_nested_result_is_a_clean_end
            a_dropped_nested_writer_ends_the_wait_of_its_reader
            a_dropped_nested_reader_breaks_the_pipe_of_its_writer
            a_writer_waits_at_the_limit_until_the_other_side_asks
            a_failed_callee_ends_its_nested_results_cleanly
            a_failed_callee_s_cause_is_there_for_who_reads_its_nested_results
            a_nested_handle_keeps_its_side_there
            a_path_that_the_other_side_never_asks_for_ends_with_it
            a_path_asked_for_after_the_other_side_is_gone_ends_at_once
            what_a_writer_adds_while_it_waits_is_bounded
            a_path_cannot_be_taken_twice
            an_empty_path_is_an_error
        }
        $crate::cases! { $make, tasks:
            a_writer_that_never_waits_lets_others_run
            a_reader_that_never_waits_lets_others_run
            reading_what_came_with_the_call_lets_others_run
            a_half_that_moves_to_another_task_is_woken_there
            each_half_is_woken_by_the_other_side_of_its_stream_only
            all_streams_of_a_call_live_in_tasks_of_their_own
        }
        $crate::cases! { $make, cancel:
            io_that_is_given_up_each_time_loses_nothing
            a_write_all_given_up_at_any_poll_has_written_a_part
            a_read_exact_given_up_at_any_poll_has_taken_a_part
            waiting_for_a_call_can_be_given_up
            an_invocation_that_is_never_polled_calls_no_one
            waiting_for_pieces_and_for_the_caller_can_be_given_up
        }
        $crate::cases! { $make, leave:
            a_caller_dropped_at_any_await_leaves_no_callee_waiting
            a_callee_dropped_at_any_await_leaves_no_caller_waiting
        }
        $crate::cases! { $make, model:
            a_call_agrees_with_a_model
        }
        $crate::cases! { $make, queue:
            a_function_that_no_one_serves_goes_to_the_remote
            mode_off_uses_the_remote_only
            a_full_queue_spills_over_to_the_remote
            parameter_bytes_fill_a_queue_too
            what_is_written_to_a_call_that_waits_counts_in_the_queue
            a_queued_call_whose_caller_has_gone_is_skipped
            a_queued_call_whose_caller_has_gone_leaves_its_room
            a_queued_call_moves_on_when_its_endpoint_goes
            a_queued_call_with_nowhere_to_go_fails_at_once
            local_and_remote_invocations_take_turns
            a_served_function_waits_when_the_remote_has_ended
            two_scopes_do_not_reach_each_other
            a_remote_that_cannot_serve_leaves_nothing_registered
        }
        $crate::cases! { $make, modes:
            require_fails_at_once_when_the_callee_is_not_here
            require_waits_when_the_queue_is_full
            who_waits_for_room_is_served_in_turn
            a_light_call_is_let_in_past_a_heavy_one
            who_waits_for_room_moves_on_to_the_next_version
            a_caller_that_gives_up_while_it_waits_for_room_has_gone
            a_caller_that_stops_waiting_for_room_takes_none
            a_caller_that_waits_for_room_learns_that_the_callee_is_gone
            a_target_has_a_mode_of_its_own
            a_mode_that_is_changed_holds_for_the_next_call
            a_call_that_was_let_in_and_not_started_did_not_run
            a_call_that_is_put_back_is_run_by_whoever_comes_next
            a_call_that_there_is_no_room_for_did_not_run
            calls_in_flight_are_counted
        }
        $crate::cases! { $make, running:
            a_call_is_listed_with_how_far_it_has_come
            the_oldest_calls_are_listed
            a_call_that_is_put_back_is_queued_again
            a_call_over_the_remote_transport_is_listed_too
            a_call_that_could_not_be_made_is_not_listed
        }
        $crate::cases! { $make, observe:
            a_call_is_told_once_both_sides_are_done_with_it
            failures_are_told_apart
            a_caller_that_wants_no_results_has_not_left
            a_call_that_goes_elsewhere_is_counted_and_not_told
            a_call_that_goes_elsewhere_is_not_prepared
            calls_without_results_that_are_lost_are_counted
            calls_that_go_nowhere_are_counted
            there_is_one_observer
        }
        $crate::cases! { $make, generations:
            the_oldest_serves_and_the_next_one_when_it_goes
            one_that_is_made_and_dropped_changes_nothing
            one_that_is_ended_is_passed_over_though_it_lives
            whoever_asks_one_that_is_ended_is_let_go
            all_functions_change_over_at_once
            a_function_that_the_next_one_lacks_is_not_served
            what_waits_passes_on_and_runs_once
            the_remote_subscription_passes_on_with_what_has_arrived
            the_remote_subscription_passes_on_in_every_mode
            a_function_that_is_new_is_subscribed_when_its_turn_comes
            an_old_version_that_waits_elsewhere_holds_nothing_back
            when_all_are_ended_calls_fail_at_once
            clones_of_a_client_serve_together
            each_serves_for_itself_on_a_host_that_does_as_a_stock_host
            what_has_arrived_ends_with_the_last_one
            who_looks_at_generations_is_told
        }
    };
}

/// Used by [`suite!`].
#[doc(hidden)]
#[macro_export]
macro_rules! cases {
    ($make:expr, $module:ident: $($case:ident)*) => {
        mod $module {
            // `$make` is written where the macro is used, and may name what is imported there.
            #[allow(unused_imports)]
            use super::*;

            $(
                #[tokio::test]
                async fn $case() {
                    let make = $make;
                    let case = $crate::$module::$case(make);
                    $crate::support::within_a_minute(stringify!($case), case).await;
                }
            )*
        }
    };
}
