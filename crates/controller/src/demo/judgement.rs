//! Whether the story went as it must: figures and final states in, findings out. Pure.

use super::account::Account;
use super::ledger::{Chapter, Service};

/// What the API server said at the end of the chapters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FinalStates {
    /// Version 2 was the stable one and the Rollout healthy at the end of its chapter.
    pub good_promoted: bool,
    /// Version 3 was aborted by its analysis and by nobody else.
    pub bad_aborted_by_analysis: bool,
    /// Percent that the route asked for the canary after that.
    pub weight_after_abort: Option<u64>,
    /// The stable version after that.
    pub stable_after_abort: String,
    /// The preview's analysis succeeded.
    pub preview_checked: bool,
    /// The active Service selects the shop's version 2, and the Rollout is healthy.
    pub shop_switched: bool,
}

/// One thing that must be so, and whether it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it is as it must be.
    pub holds: bool,
    /// What must be so; what was found if it is not.
    pub text: String,
}

/// Requests per step below which a share proves nothing.
const ENOUGH: u64 = 50;

/// Holds the figures and states against what must be.
pub(crate) fn judge(account: &Account, states: &FinalStates) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut must = |holds: bool, wanted: &str, found: String| {
        let text =
            if holds || found.is_empty() { wanted.to_owned() } else { format!("{wanted}, but {found}") };
        findings.push(Finding { holds, text });
    };
    must(states.good_promoted, "version 2 is promoted", "it is not the healthy stable version".to_owned());
    let asked = |version: &str| -> Vec<u64> {
        account.steps.iter().filter(|step| step.version == version).map(|step| step.asked).collect()
    };
    must(asked("2") == [20, 40, 60, 80, 100], "version 2 goes through 20, 40, 60, 80 and 100 %", {
        format!("its weights were {:?}", asked("2"))
    });
    must(
        asked("3") == [20],
        "version 3 gets no further than 20 %",
        format!("its weights were {:?}", asked("3")),
    );
    for step in &account.steps {
        let off = (step.measured() - f64::from(u32::try_from(step.asked).unwrap_or(u32::MAX))).abs();
        let wanted = format!("version {} gets the {} % it is given", step.version, step.asked);
        let found = format!("it got {:.1} % of {} requests", step.measured(), step.requests);
        // Where a version is withdrawn early there is less to count.
        let enough = step.version == "3" || step.requests >= ENOUGH;
        must(enough && off <= step.tolerance(), &wanted, found);
    }
    let aborted = states.bad_aborted_by_analysis;
    must(aborted, "version 3 is aborted by its analysis", "it is not".to_owned());
    let weight = states.weight_after_abort;
    must(weight == Some(0), "its weight is back at 0", format!("it is {weight:?}"));
    let stable = &states.stable_after_abort;
    must(stable == "2", "version 2 stays the stable one", format!("that is {stable:?}"));
    let after = account.bad_after_revert;
    must(after == 0, "version 3 answers nothing after the revert", format!("it answered {after}"));
    must(
        account.revert.is_some(),
        "users saw version 3 fail before it was withdrawn",
        "no request failed".to_owned(),
    );
    judge_failures(account, &mut must);
    must(
        states.preview_checked,
        "the preview is checked before the switch",
        "its analysis did not succeed".to_owned(),
    );
    must(
        states.shop_switched,
        "the shop is switched to version 2",
        "its active Service does not select it".to_owned(),
    );
    must(account.shop_new_answers > 0, "users of the shop reach version 2", "it answered nobody".to_owned());
    let back = account.shop_turned_back;
    must(
        back == 0,
        "the switch is made once and for all",
        format!("version 1 answered {back} later requests"),
    );
    findings
}

fn judge_failures(account: &Account, must: &mut impl FnMut(bool, &str, String)) {
    let others: u64 = account
        .failed
        .iter()
        .filter(|((service, version), _)| *service != Service::Web || version != "3")
        .map(|(_, count)| count)
        .sum();
    must(others == 0, "no other version fails a request", format!("{others} failed"));
    // 5 % of each pod's requests, rounded up, with at most two pods at 20 %.
    let (failed, bound) = (account.failed_by_bad(), account.bad_answers / 20 + 2);
    must(failed <= bound, "version 3 fails no more than 5 % of its requests", {
        format!("it failed {failed} of {}", account.bad_answers)
    });
    for (chapter, wanted) in [
        (Chapter::Good, "no request is lost during the promotion"),
        (Chapter::Switch, "no request is lost while switching"),
    ] {
        let lost = account.lost_in(chapter);
        must(lost == 0, wanted, format!("{lost} were"));
    }
    let lost = account.lost_in_all();
    must(lost == 0, "no request is lost at all", format!("{lost} were"));
}

/// Whether everything is as it must be.
pub(crate) fn all_hold(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.holds)
}

/// The findings, one a line.
pub(crate) fn render_findings(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| format!("{} {}\n", if finding.holds { "✔" } else { "✖" }, finding.text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::account::{StepShare, reckon, tests as accounts};

    fn good_states() -> FinalStates {
        FinalStates {
            good_promoted: true,
            bad_aborted_by_analysis: true,
            weight_after_abort: Some(0),
            stable_after_abort: "2".to_owned(),
            preview_checked: true,
            shop_switched: true,
        }
    }

    fn good_account() -> Account {
        let mut account = reckon(&accounts::story());
        let step = |asked| StepShare { version: "2", asked, requests: 500, answered: asked * 5 };
        account.steps.splice(1..1, [40, 60, 80].map(step));
        account
    }

    fn failing(account: &Account, states: &FinalStates) -> Vec<String> {
        judge(account, states)
            .into_iter()
            .filter(|finding| !finding.holds)
            .map(|finding| finding.text)
            .collect()
    }

    #[test]
    fn a_story_as_it_should_be_passes() {
        assert_eq!(failing(&good_account(), &good_states()), Vec::<String>::new());
        assert!(all_hold(&judge(&good_account(), &good_states())));
    }

    #[test]
    fn whatever_is_not_as_it_must_be_is_named() {
        type Change = fn(&mut Account, &mut FinalStates);
        let cases: [(Change, &str); 12] = [
            (
                |_, states| states.good_promoted = false,
                "version 2 is promoted, but it is not the healthy stable version",
            ),
            (
                |account, _| {
                    account.steps.remove(1);
                },
                "its weights were [20, 60, 80, 100]",
            ),
            (
                |account, _| account.steps[0].answered = 30,
                "version 2 gets the 20 % it is given, but it got 30.0 % of 100 requests",
            ),
            (
                |account, _| account.steps[2].requests = 0,
                "version 2 gets the 60 % it is given, but it got 0.0 % of 0 requests",
            ),
            (
                |_, states| states.bad_aborted_by_analysis = false,
                "version 3 is aborted by its analysis, but it is not",
            ),
            (|_, states| states.weight_after_abort = Some(20), "its weight is back at 0, but it is Some(20)"),
            (
                |account, _| account.bad_after_revert = 2,
                "version 3 answers nothing after the revert, but it answered 2",
            ),
            (
                |account, _| account.revert = None,
                "users saw version 3 fail before it was withdrawn, but no request failed",
            ),
            (
                |account, _| {
                    account.failed.insert((Service::Web, "2".to_owned()), 1);
                },
                "no other version fails a request, but 1 failed",
            ),
            (
                |account, _| {
                    account.failed.insert((Service::Web, "3".to_owned()), 9);
                },
                "it failed 9 of 20",
            ),
            (
                |account, _| {
                    account.lost.insert(Chapter::Switch, (3, String::new()));
                },
                "no request is lost while switching, but 3 were",
            ),
            (
                |_, states| states.shop_switched = false,
                "the shop is switched to version 2, but its active Service does not select it",
            ),
        ];
        for (change, complaint) in cases {
            let (mut account, mut states) = (good_account(), good_states());
            change(&mut account, &mut states);
            let found = failing(&account, &states);
            assert!(found.iter().any(|text| text.contains(complaint)), "{complaint:?} not in {found:?}");
        }
    }
}
