//! The short account at the end: what users saw, in figures. Pure: a ledger in, figures out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::{Chapter, Ledger, Outcome, Sample, Service};

/// A step's share, asked for and measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StepShare {
    /// The version on trial.
    pub version: &'static str,
    /// Percent that was asked for.
    pub asked: u64,
    /// Requests sent and answered while that weight was in force.
    pub requests: u64,
    /// Those of them that the version on trial answered.
    pub answered: u64,
}

impl StepShare {
    /// Percent that was measured.
    #[expect(clippy::cast_precision_loss, reason = "a demo's requests are far fewer than 2^52")]
    pub(crate) fn measured(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.answered as f64 * 100.0 / self.requests as f64 }
    }

    /// How far the measured share may be off, in percentage points: requests under way when weights change, and
    /// the granularity of few requests.
    #[expect(clippy::cast_precision_loss, reason = "a demo's requests are far fewer than 2^52")]
    pub(crate) fn tolerance(&self) -> f64 {
        2.0 + 200.0 / self.requests.max(1) as f64
    }
}

/// The figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Account {
    /// Requests in all.
    pub requests: u64,
    /// Shares of versions 2 and 3, step by step.
    pub steps: Vec<StepShare>,
    /// Requests that a version failed, by service and version.
    pub failed: BTreeMap<(Service, String), u64>,
    /// Requests that nobody answered, by chapter, with what the first one's user saw.
    pub lost: BTreeMap<Chapter, (u64, String)>,
    /// Requests that version 3 answered, failed ones included.
    pub bad_answers: u64,
    /// From the first bad response to the last answer of version 3.
    pub revert: Option<Duration>,
    /// Requests sent after the weight was back at 0 that version 3 answered all the same.
    pub bad_after_revert: u64,
    /// Answers by the shop's version 1 to requests sent after its version 2 answered for the first time.
    pub shop_turned_back: u64,
    /// Answers by the shop's version 2.
    pub shop_new_answers: u64,
}

impl Account {
    /// Requests that nobody answered.
    pub(crate) fn lost_in_all(&self) -> u64 {
        self.lost.values().map(|(count, _)| count).sum()
    }

    /// Requests that nobody answered in a chapter.
    pub(crate) fn lost_in(&self, chapter: Chapter) -> u64 {
        self.lost.get(&chapter).map_or(0, |(count, _)| *count)
    }

    /// Requests that version 3 failed.
    pub(crate) fn failed_by_bad(&self) -> u64 {
        self.failed.get(&(Service::Web, "3".to_owned())).copied().unwrap_or(0)
    }
}

/// Reckons up a ledger.
pub(crate) fn reckon(ledger: &Ledger) -> Account {
    let mut account = Account { requests: ledger.samples.len() as u64, ..Account::default() };
    for (chapter, version) in [(Chapter::Good, "2"), (Chapter::Bad, "3")] {
        account.steps.extend(reckon_steps(ledger, chapter, version));
    }
    for sample in &ledger.samples {
        match &sample.outcome {
            Outcome::Good { .. } => {}
            Outcome::Failed { version, .. } => {
                *account.failed.entry((sample.service, version.clone())).or_default() += 1;
            }
            Outcome::Lost { why } => {
                let chapter = chapter_at(ledger, sample.sent);
                account.lost.entry(chapter).or_insert_with(|| (0, why.clone())).0 += 1;
            }
        }
    }
    reckon_revert(ledger, &mut account);
    reckon_switch(ledger, &mut account);
    account
}

/// The weights in force within a chapter and who answered the requests sent and answered meanwhile.
fn reckon_steps(ledger: &Ledger, chapter: Chapter, version: &'static str) -> Vec<StepShare> {
    let Some((start, end)) = ledger.span(chapter) else { return Vec::new() };
    let mut steps = Vec::new();
    for (index, (from, asked)) in ledger.weights.iter().enumerate() {
        if *asked == 0 || *from < start || *from >= end {
            continue;
        }
        let until = ledger.weights.get(index + 1).map_or(Duration::MAX, |(at, _)| *at);
        let within = of(ledger, Service::Web)
            .filter(|sample| sample.sent >= *from && sample.answered <= until)
            .filter_map(|sample| sample.outcome.version());
        let (mut requests, mut answered) = (0, 0);
        for answering in within {
            requests += 1;
            answered += u64::from(answering == version);
        }
        steps.push(StepShare { version, asked: *asked, requests, answered });
    }
    steps
}

fn reckon_revert(ledger: &Ledger, account: &mut Account) {
    let bad = || of(ledger, Service::Web).filter(|sample| sample.outcome.version() == Some("3"));
    account.bad_answers = bad().count() as u64;
    let first = bad().find(|sample| matches!(sample.outcome, Outcome::Failed { .. }));
    let last = bad().map(|sample| sample.answered).max();
    account.revert = first.zip(last).map(|(first, last)| last.saturating_sub(first.answered));
    let reverted = ledger.span(Chapter::Bad).and_then(|(start, _)| {
        let raised = ledger.weights.iter().position(|(at, percent)| *at >= start && *percent > 0)?;
        ledger.weights[raised..].iter().find(|(_, percent)| *percent == 0).map(|(at, _)| *at)
    });
    account.bad_after_revert = match reverted {
        Some(at) => bad().filter(|sample| sample.sent > at).count() as u64,
        None => account.bad_answers,
    };
}

fn reckon_switch(ledger: &Ledger, account: &mut Account) {
    let by = |version: &'static str| {
        of(ledger, Service::Shop).filter(move |sample| sample.outcome.version() == Some(version))
    };
    account.shop_new_answers = by("2").count() as u64;
    if let Some(first) = by("2").map(|sample| sample.answered).min() {
        account.shop_turned_back = by("1").filter(|sample| sample.sent > first).count() as u64;
    }
}

fn of(ledger: &Ledger, service: Service) -> impl Iterator<Item = &Sample> {
    ledger.samples.iter().filter(move |sample| sample.service == service)
}

fn chapter_at(ledger: &Ledger, at: Duration) -> Chapter {
    let begun = ledger.chapters.iter().rev().find(|(start, _)| *start <= at);
    begun.map_or(Chapter::First, |(_, chapter)| *chapter)
}

/// The account as text, one figure a line.
pub(crate) fn render_account(account: &Account) -> String {
    let mut lines = vec![format!("requests sent                          {}", account.requests)];
    for step in &account.steps {
        lines.push(format!(
            "share of version {} at weight {:>3} %     {:.1} % of {} requests",
            step.version,
            step.asked,
            step.measured(),
            step.requests
        ));
    }
    for ((service, version), count) in &account.failed {
        let service = match service {
            Service::Web => "web",
            Service::Shop => "shop",
        };
        lines.push(format!("failed requests seen by users          {count} of {service} version {version}"));
    }
    if account.failed.is_empty() {
        lines.push("failed requests seen by users          0".to_owned());
    }
    let revert = account.revert.map_or_else(|| "-".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()));
    lines.push(format!("first bad response to full revert      {revert}"));
    lines.push(format!("answers of version 3 after the revert  {}", account.bad_after_revert));
    for (chapter, what) in [
        (Chapter::Good, "requests lost during the promotion     "),
        (Chapter::Bad, "requests lost while pulling back       "),
        (Chapter::Switch, "requests lost while switching          "),
    ] {
        lines.push(format!("{what}{}", account.lost_in(chapter)));
    }
    let told = |chapter: &Chapter| matches!(chapter, Chapter::Good | Chapter::Bad | Chapter::Switch);
    for (chapter, (count, why)) in &account.lost {
        if !told(chapter) {
            lines.push(format!("requests lost while {}: {count}", chapter.title()));
        }
        lines.push(format!("  the first one got: {why}"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    pub(crate) fn sample(service: Service, at: u64, version: &str, code: u16) -> Sample {
        let version = version.to_owned();
        let outcome = match code {
            200 => Outcome::Good { version },
            503 => Outcome::Lost { why: "503 the backend has no ready endpoint".to_owned() },
            code => Outcome::Failed { version, code },
        };
        Sample { service, sent: ms(at), answered: ms(at + 5), outcome }
    }

    /// A story as it should be: every tenth of a second a request, version 2 at 20 and 100 %, version 3 at 20 %.
    pub(crate) fn story() -> Ledger {
        let mut ledger = Ledger {
            chapters: vec![
                (ms(0), Chapter::First),
                (ms(1_000), Chapter::Good),
                (ms(30_000), Chapter::Bad),
                (ms(45_000), Chapter::ShopFirst),
                (ms(50_000), Chapter::Switch),
                (ms(60_000), Chapter::End),
            ],
            weights: vec![
                (ms(0), 0),
                (ms(2_000), 20),
                (ms(12_000), 100),
                (ms(22_000), 0),
                (ms(32_000), 20),
                (ms(42_000), 0),
            ],
            ..Ledger::default()
        };
        for turn in 0..600 {
            let at = turn * 100;
            let (version, code) = match at {
                2_000..12_000 if turn % 5 == 0 => ("2", 200),
                32_000..42_000 if turn == 380 => ("3", 500),
                32_000..42_000 if turn % 5 == 0 => ("3", 200),
                0..12_000 => ("1", 200),
                _ => ("2", 200),
            };
            ledger.samples.push(sample(Service::Web, at, version, code));
            if at >= 46_000 {
                let version = if at < 55_000 { "1" } else { "2" };
                ledger.samples.push(sample(Service::Shop, at, version, 200));
            }
        }
        ledger
    }

    #[test]
    fn shares_are_measured_while_their_weight_is_in_force() {
        let account = reckon(&story());
        let shares: Vec<_> =
            account.steps.iter().map(|step| (step.version, step.asked, step.measured().round())).collect();
        assert_eq!(shares, [("2", 20, 20.0), ("2", 100, 100.0), ("3", 20, 20.0)]);
        assert_eq!(account.steps[0].requests, 100);
    }

    #[test]
    fn the_revert_is_timed_from_the_first_bad_response_to_the_last_answer_of_that_version() {
        let account = reckon(&story());
        assert_eq!(account.failed_by_bad(), 1);
        assert_eq!(account.bad_answers, 20);
        assert_eq!(account.revert, Some(ms(41_500 - 38_000)));
        assert_eq!(account.bad_after_revert, 0);
        let mut late = story();
        late.samples.push(sample(Service::Web, 44_000, "3", 200));
        assert_eq!(reckon(&late).bad_after_revert, 1);
    }

    #[test]
    fn what_is_never_reverted_counts_whole() {
        let mut ledger = story();
        ledger.weights.truncate(5);
        assert_eq!(reckon(&ledger).bad_after_revert, 20);
    }

    #[test]
    fn lost_requests_are_told_by_chapter() {
        let mut ledger = story();
        ledger.samples.push(sample(Service::Shop, 55_000, "", 503));
        let account = reckon(&ledger);
        assert_eq!(
            (account.lost_in_all(), account.lost_in(Chapter::Switch), account.lost_in(Chapter::Good)),
            (1, 1, 0)
        );
        let text = render_account(&account);
        assert!(text.contains("requests lost while switching          1\n"), "{text}");
        assert!(text.contains("the first one got: 503 the backend has no ready endpoint\n"), "{text}");
    }

    #[test]
    fn the_shop_is_switched_once_and_for_good() {
        let account = reckon(&story());
        assert_eq!((account.shop_new_answers, account.shop_turned_back), (50, 0));
        let mut torn = story();
        torn.samples.push(sample(Service::Shop, 57_000, "1", 200));
        assert_eq!(reckon(&torn).shop_turned_back, 1);
    }

    #[test]
    fn the_account_is_short_and_complete() {
        let text = render_account(&reckon(&story()));
        let expected = "\
requests sent                          740
share of version 2 at weight  20 %     20.0 % of 100 requests
share of version 2 at weight 100 %     100.0 % of 100 requests
share of version 3 at weight  20 %     20.0 % of 100 requests
failed requests seen by users          1 of web version 3
first bad response to full revert      3.5 s
answers of version 3 after the revert  0
requests lost during the promotion     0
requests lost while pulling back       0
requests lost while switching          0
";
        assert_eq!(text, expected);
    }
}
