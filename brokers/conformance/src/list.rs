//! The names of all cases, once, each with what it needs of a broker beyond the basic contract.
//!
//! A case stands here, in a file of `cases/`, and in `docs/contract.md`; a test holds the three
//! together.

#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ($($mode:tt)+) => {
        $crate::__expand! { [$($mode)+]
            batches {
                a_bad_item_does_not_harm_a_good_one;
                settlements_are_answered_in_their_order;
                renewals_are_answered_in_their_order [Renew];
                statistics_are_answered_in_their_order;
                an_empty_batch_is_answered_with_nothing [Renew];
                a_batch_of_the_largest_size_is_taken_whole;
            }
            durability {
                what_was_acknowledged_is_there_after_a_crash [Inspect, Persistent];
                a_lease_outlives_the_process_of_the_broker [Persistent];
                a_settlement_is_there_after_a_crash [Inspect, ExactSettle, Persistent];
                a_lease_that_lapsed_during_a_crash_is_taken_back [Persistent];
                a_key_is_still_taken_after_a_crash [Keys, Persistent];
                what_an_operator_did_is_there_after_a_crash [Inspect, Persistent];
                schedules_and_fires_are_there_after_a_crash [Persistent];
            }
            leases {
                a_leased_task_is_not_leased_again;
                a_lease_carries_its_proof_and_its_end;
                the_fence_grows_with_every_lease;
                many_workers_share_a_backlog_without_doubles;
                two_processes_share_a_backlog_without_doubles [MultiProcess];
                a_renewed_lease_lasts_as_long_as_its_run [Renew];
                a_renewal_sets_the_end_of_the_lease_from_now [Renew];
            }
            melees {
                nothing_is_lost_or_done_twice_in_a_melee [Inspect];
                nothing_is_lost_or_done_twice_between_two_processes [Inspect, MultiProcess];
            }
            fencing {
                a_stale_token_changes_nothing [Renew];
                a_stale_token_leaves_the_record_as_it_is [Renew, Inspect];
                settling_twice_is_stale [Renew];
                a_token_with_another_fence_is_stale [Renew];
                a_token_of_a_task_that_is_gone_is_stale [Renew];
                a_lapsed_lease_that_nobody_took_back_is_still_held [Renew];
                progress_under_a_stale_token_is_fenced [Inspect];
                the_token_of_a_replayed_task_is_stale [Renew, Inspect];
            }
            attempts {
                a_crash_is_not_counted_as_a_failure;
                a_failure_is_not_counted_as_a_crash;
                a_release_is_not_counted;
                a_snooze_is_not_counted;
                releases_for_an_unknown_kind_are_counted_apart;
                every_attempt_is_kept_with_its_end [Inspect];
                a_run_that_never_started_leaves_no_attempt [Inspect];
                the_latest_hundred_attempts_are_kept [Inspect];
                a_success_is_kept_among_the_attempts [Inspect];
                a_record_shows_who_runs_it_and_which_run_it_is [Inspect];
            }
            retries {
                a_failed_task_runs_again_at_the_time_that_was_given [ExactDelay];
                a_failure_is_kept_with_its_task [Inspect];
                a_task_in_retry_keeps_its_id [Inspect];
                a_retry_that_is_due_already_runs_at_once;
                the_last_failure_makes_a_dead_letter_with_its_history [Inspect];
                a_reject_buries_at_once [Inspect];
                a_dead_letter_stays_until_somebody_deals_with_it [Inspect];
                a_success_after_failures_completes;
            }
            waiting {
                a_lease_returns_with_what_is_ready;
                a_lease_without_a_wait_returns_at_once;
                a_lease_is_empty_at_its_deadline;
                a_waiting_lease_does_not_end_before_its_deadline;
                a_waiting_lease_wakes_for_a_new_task;
                a_waiting_lease_wakes_for_another_process [MultiProcess];
                a_waiting_lease_wakes_when_a_task_is_due [ExactDelay];
                a_waiting_lease_wakes_for_a_task_that_is_due_sooner;
                a_waiting_lease_wakes_for_a_released_task;
                a_waiting_lease_wakes_for_a_reclaimed_task;
                a_waiting_lease_wakes_for_a_retry;
                a_waiting_lease_wakes_for_an_operator [Inspect];
                a_waiting_lease_wakes_for_a_fire [Renew];
                every_waiting_lease_gets_its_task;
                a_waiting_lease_serves_all_its_queues;
                a_dropped_lease_strands_nothing;
            }
            order {
                the_first_that_is_ready_goes_first;
                a_batch_keeps_its_order;
                the_higher_priority_goes_first [Priorities];
                a_delayed_task_is_ready_when_it_is_due;
                delayed_tasks_go_in_the_order_of_their_due_times;
                a_released_task_goes_back_to_the_front;
                a_reclaimed_task_goes_back_to_the_front;
                a_retried_task_takes_its_place_by_its_due_time;
                a_replayed_task_is_ready_when_it_was_replayed [Inspect];
                queues_are_served_in_the_order_of_the_demand;
                a_demand_limits_what_comes_from_each_queue;
                a_queue_that_was_not_asked_for_yields_nothing;
                a_paused_queue_yields_nothing_while_others_go_on [Inspect];
                a_pause_leaves_what_runs_alone [Renew, Inspect];
            }
            keys {
                a_second_enqueue_with_a_live_key_names_the_first [Keys];
                success_frees_the_key [Keys];
                success_keeps_the_key_for_its_window_when_asked [Keys];
                a_key_is_free_after_its_time_to_live [Keys];
                the_former_holder_of_a_key_leaves_its_new_holder_alone [Keys, Inspect];
                deleting_or_cancelling_frees_the_key [Keys, Inspect];
                deleting_many_frees_their_keys [Keys, Inspect];
                removing_a_queue_leaves_no_key_behind [Keys, Inspect];
                an_id_conflict_leaves_no_key_behind [Keys];
                a_duplicate_leaves_no_id_behind [Keys, Inspect];
                a_dead_task_frees_its_key [Keys];
                a_dead_task_keeps_its_key_when_asked [Keys];
                a_key_outlives_a_long_run [Keys, Renew];
                a_key_outlives_the_wait_for_a_retry [Keys];
                a_lapsed_key_is_live_again_while_its_task_runs [Keys];
                another_kind_or_queue_makes_another_key [Keys];
                a_delayed_task_holds_its_key_until_due_plus_time_to_live [Keys, ExactDelay];
                a_conflict_inside_a_batch_is_reported_as_one [Keys];
                a_replay_claims_its_key_again [Keys, Inspect];
                a_replay_is_refused_while_another_task_holds_its_key [Keys, Inspect];
                tasks_are_found_by_their_key [Keys, Inspect];
            }
            sweeping {
                a_sweep_of_an_empty_store_does_nothing;
                sweeping_twice_changes_nothing_more [Inspect];
                a_sweep_does_no_more_than_its_budget [Inspect];
                two_processes_sweep_without_doing_anything_twice [MultiProcess];
                a_sweep_says_what_it_took_back;
                a_sweep_promotes_what_is_due [Inspect];
            }
            namespaces {
                the_same_id_and_key_are_free_in_another_namespace [Keys];
                a_namespace_yields_its_own_tasks_only;
                a_token_does_not_fit_in_another_namespace;
                a_sweep_leaves_other_namespaces_alone;
                an_operator_sees_one_namespace [Inspect];
                a_ledger_remembers_for_one_namespace;
            }
            time {
                every_instant_comes_from_the_clock [Renew, Inspect];
                a_ledger_tells_the_time_by_the_clock;
                a_clock_that_steps_back_loses_nothing [Inspect];
                a_clock_that_jumps_ahead_only_makes_things_due;
            }
            enqueue {
                a_taken_id_is_a_conflict_and_the_first_stays_intact [Inspect];
                an_id_is_taken_in_every_state [Inspect];
                an_id_is_free_again_once_its_task_is_gone [Inspect];
                a_past_due_time_runs_now [Inspect];
                a_future_task_is_invisible_until_it_is_due [Inspect, ExactDelay];
                a_task_of_the_far_future_waits [Inspect];
                a_payload_arrives_byte_for_byte;
                headers_arrive_as_they_were;
                every_field_of_an_envelope_arrives [Keys, Priorities, Inspect];
                the_largest_payload_arrives_whole;
                a_larger_payload_is_refused_with_the_limit_named;
                an_envelope_that_nobody_could_keep_refuses_the_batch;
                two_processes_admit_an_id_and_a_key_once [Keys, MultiProcess];
                a_full_queue_refuses_until_it_has_room [Inspect];
                a_limit_counts_the_earlier_items_of_a_batch [Inspect];
                a_refused_enqueue_leaves_nothing_behind [Keys, Inspect];
                a_conflict_is_named_before_a_full_queue [Keys, Inspect];
            }
            outcomes {
                success_removes_a_task_that_is_not_kept [Inspect];
                success_keeps_a_task_that_is_to_be_kept [Inspect];
                retention_keeps_result_and_log_until_it_ends [Inspect];
                a_cancelled_task_that_waits_never_runs [Inspect];
                the_cancellation_of_a_run_reaches_it_alone [Renew, Inspect];
                a_cancellation_is_final_whatever_the_run_says [Inspect];
                a_run_that_succeeds_before_it_hears_of_its_cancellation_counts [Inspect];
                a_cancelled_run_that_crashes_is_cancelled [Inspect];
                a_cancelled_task_is_kept_for_its_retention [Inspect];
                progress_and_result_can_be_read [Inspect];
            }
            recovery {
                an_expired_lease_is_handed_out_again;
                a_task_that_kills_its_workers_is_buried [Keys, Inspect];
                crashes_do_not_use_up_the_attempts;
                the_leases_of_a_live_worker_stay_when_another_dies [Renew];
                an_undecodable_task_is_set_aside_with_its_bytes [Inspect, Persistent];
                nothing_stays_active_without_a_live_lease [Inspect];
                one_crash_costs_one_extra_run;
            }
            operations {
                counts_are_right_in_every_state [Inspect];
                counts_follow_every_change [Inspect];
                the_age_of_the_oldest_is_that_of_the_longest_ready [Priorities];
                history_is_kept_by_the_minute [Renew, Inspect];
                queues_are_listed_by_name [Inspect];
                paging_is_stable_under_change [Inspect];
                pages_hold_everything_once [Inspect];
                a_page_is_bounded_whatever_is_asked_for [Inspect];
                a_filter_finds_what_it_says [Keys, Inspect];
            }
            rarities {
                a_page_ends_before_what_is_rare_is_found [Inspect];
                a_page_among_many_holds_what_its_filter_says [Keys, Inspect];
                a_change_of_many_goes_on_past_what_it_does_not_mean [Inspect];
            }
            changes {
                a_change_is_right_from_each_state_or_refused [Inspect];
                a_change_of_an_unknown_task_is_not_found [Inspect];
                a_rescheduled_task_runs_at_its_new_time [Inspect];
                an_operator_can_bury_and_the_letter_says_so [Inspect];
                a_change_of_many_counts_and_is_bounded [Inspect];
                a_change_of_many_touches_what_matches_alone [Inspect];
                a_queue_that_holds_tasks_is_not_removed [Inspect];
                an_empty_queue_is_removed_with_all_about_it [Inspect];
                a_forced_removal_is_bounded_and_spares_what_runs [Inspect];
                a_purge_takes_dead_letters_by_age [Inspect];
            }
            replays {
                a_replayed_task_gets_one_more_run [Inspect];
                a_replay_can_reset_the_attempts [Inspect];
                a_replay_can_go_to_another_queue [Inspect];
                a_replay_can_edit_the_payload [Inspect];
                an_edit_of_a_payload_that_is_not_json_is_refused [Inspect];
                a_replay_can_be_for_later [Inspect];
                a_completed_or_cancelled_task_can_be_replayed [Inspect];
                a_replay_is_not_stopped_by_its_own_key [Keys, Inspect];
                a_replay_that_is_taken_back_leaves_the_letter_as_it_was [Inspect];
                a_replay_into_a_full_queue_is_refused [Inspect];
            }
            schedules {
                applying_the_same_file_again_changes_nothing;
                applying_a_changed_file_changes_just_the_difference;
                a_file_owns_only_what_it_declared;
                putting_a_schedule_makes_its_source_the_owner;
                a_revision_grows_with_every_change_and_is_never_used_again;
                the_version_grows_with_every_change;
                changes_since_a_version_are_told;
                too_many_changes_are_not_told;
                a_change_takes_back_what_was_put_ahead;
                a_new_revision_plans_the_same_instants_again;
                removing_a_schedule_stops_it;
                a_paused_schedule_has_no_fires;
                a_fire_within_its_jitter_survives_a_change_but_not_a_pause [Inspect];
                a_resumed_schedule_goes_on_from_now;
                pausing_what_does_not_exist_says_so;
                schedules_are_listed_page_by_page;
            }
            leadership {
                one_producer_leads_at_a_time;
                renewing_the_lead_keeps_its_epoch;
                another_takes_over_when_the_lead_lapses;
                a_lapsed_lead_comes_back_with_a_new_epoch;
                a_term_that_knows_of_more_batches_than_there_are_is_refused;
                resigning_frees_the_lead_at_once;
                shards_are_led_apart;
                a_term_is_good_for_the_schedules_of_its_shard_alone;
                schedules_are_divided_in_one_way_at_a_time;
                the_epoch_outlives_every_lease;
            }
            fires {
                an_instant_fires_once [Inspect];
                an_instant_fires_once_within_a_batch;
                the_fires_of_a_former_leader_are_refused;
                a_fire_without_a_term_is_refused_unless_manual;
                a_fire_of_an_old_revision_is_refused;
                a_fire_and_its_task_and_the_cursor_are_one_step [Inspect];
                missed_and_skipped_instants_are_on_record;
                a_missed_instant_can_be_made_up_for_by_hand_once;
                a_missed_instant_stays_missed_while_its_queue_is_full [Inspect];
                a_manual_fire_leaves_the_calendar_intact;
                a_paused_schedule_can_still_be_fired_by_hand;
                a_fire_follows_its_task_to_the_end;
                a_fire_tells_how_its_task_ended [Inspect];
                fires_are_paged_from_the_newest;
                fires_are_forgotten_after_a_week;
                two_processes_fire_each_instant_once [MultiProcess];
            }
            gates {
                a_fire_may_run_beside_the_earlier_one [Renew];
                a_fire_is_skipped_while_the_earlier_one_runs [Renew, Inspect];
                a_fire_is_skipped_while_the_earlier_one_waits;
                a_held_fire_runs_when_the_earlier_one_has_ended [Renew, Inspect];
                a_held_fire_runs_when_the_earlier_one_is_gone [Renew, Inspect];
                a_run_that_was_put_off_still_counts_as_the_earlier_one [Inspect];
                a_late_fire_is_missed_although_a_newer_one_is_ready [Inspect];
                a_late_fire_is_missed_beyond_the_catch_up_window [Inspect];
                a_late_fire_is_counted_by_the_policy_of_its_schedule;
                at_most_one_fire_waits_for_the_earlier_one [Renew];
                a_fire_cancels_the_run_before_it [Renew];
                a_fire_cancels_what_waits_before_it [Inspect];
                schedules_do_not_hold_each_other [Renew];
                after_downtime_every_fire_runs_when_asked;
                after_downtime_the_latest_fire_runs_once [Inspect];
                after_downtime_nothing_runs_when_asked;
                a_fire_that_is_a_little_late_is_no_misfire;
            }
            steps {
                a_committed_step_is_not_run_again;
                an_unfinished_step_is_taken_over;
                a_commit_can_be_repeated;
                a_run_that_was_overtaken_finds_its_steps_closed;
                a_stale_run_cannot_claim_or_commit_a_step;
                an_abandoned_step_can_be_claimed_again;
                steps_belong_to_their_task;
                a_step_is_forgotten_after_its_time [Renew];
                steps_are_gone_with_their_task;
                a_completion_is_remembered_for_its_window;
                a_completion_can_be_forgotten;
            }
            logs {
                lines_come_back_as_they_were_written;
                a_log_is_read_page_by_page_and_goes_on;
                an_empty_log_can_be_followed_from_its_start;
                a_log_is_gone_with_its_task [Inspect];
                lines_for_a_task_that_is_gone_are_dropped;
                logs_of_different_tasks_are_kept_apart;
            }
            presence {
                a_live_process_is_listed_as_it_describes_itself;
                announcing_again_replaces_what_was_said;
                a_process_that_is_not_heard_of_is_gone;
                a_process_that_departs_is_gone_at_once;
            }
            notes {
                a_note_is_kept_in_its_book;
                a_note_is_written_only_under_its_precondition;
                a_note_is_forgotten_after_its_time;
                notes_are_listed_by_name;
            }
            adoptions {
                an_adopted_task_is_leased_by_its_worker [Renew, Inspect];
                the_failure_of_an_adopted_task_is_kept_with_it [Inspect];
                past_crashes_of_an_adopted_task_count;
                a_taken_id_is_not_adopted;
                a_full_and_paused_queue_adopts_all_the_same [Inspect];
                a_task_with_a_key_is_not_adopted [Inspect];
            }
        }
    };
}
