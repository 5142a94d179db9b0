use super::*;

fn s(spec: i32, available: i32) -> Size {
    Size { spec, available }
}

const WEIGHTS: [i32; 11] = [1, 5, 10, 20, 25, 33, 50, 66, 75, 90, 99];

fn check_split(surge: i32, rows: &[(i32, [&str; 11])]) {
    for (replicas, row) in rows {
        for (weight, want) in WEIGHTS.iter().zip(row) {
            let got = split_by_weight(*replicas, *weight, 100, surge);
            assert_eq!(
                &format!("{}/{}", got.canary, got.stable),
                want,
                "R {replicas} w {weight} surge {surge}"
            );
        }
    }
}

/// The two cells marked B-02 in the rows (0/2 and 0/5) are 1/1 and 4/1 here.
#[test]
fn pods_are_split_by_weight_without_surge_r335_e11_b02() {
    check_split(
        0,
        &[
            (1, ["0/1", "0/1", "0/1", "0/1", "0/1", "0/1", "1/0", "1/0", "1/0", "1/0", "1/0"]),
            (2, ["1/1", "1/1", "1/1", "1/1", "1/1", "1/1", "1/1", "1/1", "1/1", "1/1", "1/1"]),
            (3, ["1/2", "1/2", "1/2", "1/2", "1/2", "1/2", "2/1", "2/1", "2/1", "2/1", "2/1"]),
            (4, ["1/3", "1/3", "1/3", "1/3", "1/3", "1/3", "2/2", "3/1", "3/1", "3/1", "3/1"]),
            (5, ["1/4", "1/4", "1/4", "1/4", "1/4", "2/3", "3/2", "3/2", "4/1", "4/1", "4/1"]),
            (7, ["1/6", "1/6", "1/6", "1/6", "2/5", "2/5", "4/3", "5/2", "5/2", "6/1", "6/1"]),
            (10, ["1/9", "1/9", "1/9", "2/8", "3/7", "3/7", "5/5", "7/3", "8/2", "9/1", "9/1"]),
            (15, ["1/14", "1/14", "2/13", "3/12", "4/11", "5/10", "8/7", "10/5", "11/4", "14/1", "14/1"]),
            (20, ["1/19", "1/19", "2/18", "4/16", "5/15", "7/13", "10/10", "13/7", "15/5", "18/2", "19/1"]),
        ],
    );
}

#[test]
fn pods_are_split_by_weight_with_surge_r335_e12() {
    check_split(
        1,
        &[
            (1, ["1/1"; 11]),
            (2, ["1/2", "1/2", "1/2", "1/2", "1/2", "1/2", "1/1", "2/1", "2/1", "2/1", "2/1"]),
            (3, ["1/3", "1/3", "1/3", "1/3", "1/3", "1/2", "2/2", "2/1", "3/1", "3/1", "3/1"]),
            (4, ["1/4", "1/4", "1/4", "1/4", "1/3", "2/3", "2/2", "3/2", "3/1", "4/1", "4/1"]),
            (5, ["1/5", "1/5", "1/5", "1/4", "1/4", "2/4", "3/3", "4/2", "4/1", "5/1", "5/1"]),
            (7, ["1/7", "1/7", "1/7", "2/6", "2/6", "2/5", "4/4", "5/3", "6/2", "7/1", "7/1"]),
            (10, ["1/10", "1/10", "1/9", "2/8", "3/8", "3/7", "5/5", "7/4", "8/3", "9/1", "10/1"]),
            (15, ["1/15", "1/15", "2/14", "3/12", "4/12", "5/10", "8/8", "10/5", "12/4", "14/2", "15/1"]),
            (20, ["1/20", "1/19", "2/18", "4/16", "5/15", "7/14", "10/10", "14/7", "15/5", "18/2", "20/1"]),
        ],
    );
}

#[test]
fn an_exact_tie_below_all_replicas_still_gets_a_canary_b02() {
    for (replicas, weight, want) in
        [(2, 75, (1, 1)), (5, 90, (4, 1)), (10, 95, (9, 1)), (25, 98, (24, 1)), (50, 99, (49, 1))]
    {
        let got = split_by_weight(replicas, weight, 100, 0);
        assert_eq!((got.canary, got.stable), want, "R {replicas} w {weight}");
    }
}

#[test]
fn next_sizes_of_a_basic_canary_r336_to_r340_e13_to_e34() {
    // row, R, (surge, unavailable), target c/s, stable, canary, old, -> stable, canary
    for (row, replicas, margins, target, stable, new, old, want) in [
        ("E-13", 5, (2, 1), (1, 4), Some(s(5, 5)), s(0, 0), 0, (4, 1)),
        ("E-14", 5, (2, 1), (1, 4), Some(s(5, 5)), s(1, 0), 0, (4, 1)),
        ("E-15", 8, (2, 0), (2, 6), Some(s(8, 8)), s(0, 0), 0, (8, 2)),
        ("E-16", 8, (2, 0), (2, 6), Some(s(8, 8)), s(2, 1), 0, (7, 2)),
        ("E-17", 8, (2, 0), (2, 6), Some(s(8, 8)), s(2, 2), 0, (6, 2)),
        ("E-18", 8, (0, 2), (2, 6), Some(s(8, 8)), s(0, 0), 0, (6, 0)),
        ("E-19", 8, (0, 2), (2, 6), Some(s(6, 6)), s(0, 0), 0, (6, 2)),
        ("E-20", 6, (1, 0), (6, 0), Some(s(6, 2)), s(1, 1), 0, (5, 1)),
        ("E-21", 6, (1, 0), (6, 0), Some(s(4, 2)), s(3, 3), 0, (3, 3)),
        ("E-22", 6, (2, 1), (0, 6), Some(s(0, 0)), s(6, 6), 0, (2, 5)),
        ("E-23", 6, (2, 1), (0, 6), Some(s(2, 2)), s(6, 6), 0, (2, 3)),
        ("E-24", 6, (2, 1), (0, 6), Some(s(2, 0)), s(6, 6), 0, (2, 5)),
        ("E-25", 6, (2, 1), (0, 6), Some(s(3, 3)), s(3, 0), 0, (5, 2)),
        ("E-26", 6, (1, 0), (3, 3), Some(s(4, 4)), s(1, 1), 2, (4, 1)),
        ("E-27", 4, (1, 0), (2, 2), Some(s(10, 10)), s(5, 5), 0, (3, 2)),
        ("E-28", 12, (3, 3), (3, 9), Some(s(6, 6)), s(2, 2), 0, (9, 3)),
        ("E-29", 10, (0, 2), (5, 5), Some(s(6, 9)), s(4, 4), 0, (5, 4)),
        ("E-30", 1, (1, 0), (1, 1), Some(s(1, 1)), s(1, 1), 0, (1, 1)),
        ("E-31", 1, (1, 0), (1, 0), Some(s(1, 1)), s(1, 1), 0, (0, 1)),
        ("E-32", 0, (0, 0), (0, 0), Some(s(3, 3)), s(1, 1), 0, (0, 0)),
        ("E-33", 2, (0, 1), (1, 1), Some(s(2, 2)), s(0, 0), 0, (1, 0)),
        ("E-34", 7, (2, 1), (0, 0), None, s(0, 0), 0, (0, 7)),
    ] {
        let got = next_basic_sizes(&BasicCanary {
            replicas,
            margins: Margins { surge: margins.0, unavailable: margins.1 },
            target: Split { canary: target.0, stable: target.1 },
            new: Some(new),
            stable,
            old_spec: old,
        });
        assert_eq!((got.stable, got.canary), want, "{row}");
    }
}

fn routed(replicas: i32, weight: i32) -> RoutedCanary {
    RoutedCanary {
        replicas,
        max_weight: 100,
        min_pods: None,
        dynamic_stable_scale: false,
        fixed_canary: None,
        weight,
        recorded: None,
        aborted: false,
    }
}

#[test]
fn sizes_of_a_routed_canary_r343_to_r346_e43_to_e55() {
    let dynamic = |replicas, weight, recorded| RoutedCanary {
        dynamic_stable_scale: true,
        recorded: Some(recorded),
        ..routed(replicas, weight)
    };
    let thousand = |replicas, weight| RoutedCanary { max_weight: 1000, ..routed(replicas, weight) };
    let fixed = |replicas, canary| RoutedCanary { fixed_canary: Some(canary), ..routed(replicas, 90) };
    let minimum = |pods, state: RoutedCanary| RoutedCanary { min_pods: Some(pods), ..state };
    for (row, state, want) in [
        ("E-43", routed(4, 25), (1, 4)),
        ("E-43", routed(4, 26), (2, 4)),
        ("E-44", routed(3, 50), (2, 3)),
        ("E-44", routed(7, 33), (3, 7)),
        ("E-44", routed(10, 1), (1, 10)),
        ("E-44", routed(10, 99), (10, 10)),
        ("E-44", routed(1, 1), (1, 1)),
        ("E-45", routed(0, 50), (0, 0)),
        ("E-46", thousand(10, 5), (1, 10)),
        ("E-46", thousand(10, 150), (2, 10)),
        ("E-46", thousand(200, 7), (2, 200)),
        ("E-47", fixed(5, 3), (3, 5)),
        ("E-47", fixed(5, 9), (9, 5)),
        ("E-47", fixed(5, 0), (0, 5)),
        ("E-48", routed(8, 25), (2, 8)),
        ("E-48", routed(4, 200), (8, 4)),
        ("E-48", routed(10, 0), (0, 10)),
        ("E-49", minimum(2, routed(10, 5)), (2, 10)),
        ("E-49", minimum(2, routed(10, 0)), (0, 10)),
        ("E-49", minimum(2, fixed(10, 1)), (1, 10)),
        ("E-50", minimum(3, routed(1, 50)), (1, 1)),
        ("E-50", minimum(5, routed(3, 10)), (3, 3)),
        ("E-51", dynamic(10, 20, (0, 100)), (2, 10)),
        ("E-51", dynamic(10, 20, (20, 80)), (2, 8)),
        ("E-52", dynamic(10, 33, (33, 67)), (4, 7)),
        ("E-52", dynamic(3, 50, (50, 50)), (2, 2)),
        ("E-52", dynamic(10, 100, (100, 0)), (10, 0)),
        ("E-53", dynamic(10, 10, (60, 40)), (1, 9)),
        ("E-54", minimum(2, dynamic(10, 95, (95, 5))), (10, 2)),
        ("E-54", minimum(2, dynamic(10, 100, (100, 0))), (10, 0)),
        ("E-55", RoutedCanary { fixed_canary: Some(2), ..dynamic(10, 50, (50, 50)) }, (2, 10)),
    ] {
        let got = routed_sizes(&state);
        assert_eq!((got.canary, got.stable), want, "{row} {state:?}");
    }
}

/// E-60 ends at 0 here: pods that only the minimum keeps do not hold the weight up (B-06).
#[test]
fn weight_steps_down_during_a_dynamic_abort_r351_e56_to_e60_b06_b29() {
    let state = |replicas, stable_available, canary_available, set_weights, explicit_delay| DynamicAbort {
        replicas,
        max_weight: 100,
        min_pods: None,
        stable_available,
        canary_available,
        set_weights,
        explicit_delay,
        recorded_canary: Some(60),
    };
    for (row, state, want) in [
        ("E-56", state(10, 4, 6, &[20, 60], false), 20),
        ("E-57", state(10, 8, 2, &[20, 60], false), 0),
        ("E-58", state(10, 9, 5, &[10, 50], false), 10),
        ("E-58", state(10, 9, 5, &[10, 50], true), 0),
        ("E-59", state(10, 5, 5, &[10, 50], true), 10),
        ("E-60", DynamicAbort { min_pods: Some(3), ..state(10, 10, 3, &[5, 50], false) }, 0),
        ("B-29", DynamicAbort { recorded_canary: Some(0), ..state(20, 10, 0, &[10, 50], false) }, 0),
    ] {
        assert_eq!(dynamic_abort_weight(&state), want, "{row}");
    }
}

/// The last line of E-69 is met here: a number of pods above the desired size means all of it (B-43).
#[test]
fn threshold_tells_when_a_size_is_reached_e65_to_e69_b43() {
    let percent = |value| Some(ReplicaProgressThreshold { type_: "Percent".to_owned(), value });
    let pods = |value| Some(ReplicaProgressThreshold { type_: "Pods".to_owned(), value });
    for (row, threshold, desired, size, want) in [
        ("E-65", None, 5, s(5, 5), true),
        ("E-65", None, 5, s(5, 4), false),
        ("E-65", None, 5, s(6, 5), false),
        ("E-66", percent(80), 10, s(10, 8), true),
        ("E-66", percent(80), 10, s(10, 7), false),
        ("E-67", percent(34), 3, s(3, 1), false),
        ("E-68", percent(90), 0, s(0, 0), true),
        ("E-69", pods(3), 10, s(10, 3), true),
        ("E-69 B-43", pods(3), 2, s(2, 2), true),
        ("negative", percent(-1), 5, s(5, 4), false),
    ] {
        assert_eq!(meets_threshold(threshold.as_ref(), Some(size), desired), want, "{row}");
    }
    assert!(!meets_threshold(percent(0).as_ref(), None, 0), "a set that does not exist meets nothing");
}
