//! The phase by templates and analyses: every cell of.

use serde_json::json;

use super::{Drive, decide, merge, template};
use crate::plan::Action;

/// The phase a running Experiment gets, given its template's stored status and its analyses as
/// (required, phase of the run).
fn phase_of(template_status: &str, analyses: &[(bool, &str)]) -> (String, String) {
    let names = ["x", "y"];
    let listed: Vec<_> = analyses
        .iter()
        .zip(names)
        .map(|((required, _), name)| json!({"name": name, "templateName": "t", "requiredForCompletion": required}))
        .collect();
    let mut drive = Drive::new(json!({"templates": [template("a")], "analyses": listed}));
    drive.settle();
    for ((_, phase), name) in analyses.iter().zip(names) {
        drive.run_is(&format!("ex-{name}"), phase);
    }
    drive.snapshot.experiment.status.template_statuses[0].status = Some(template_status.into());
    if template_status == "Progressing" {
        drive.set_mut("ex-a").status.available_replicas = 0;
    }
    let plan = decide(&drive.snapshot);
    let mut status = drive.status();
    for action in plan.actions() {
        if let Action::PatchStatus { patch } = action {
            merge(&mut status, &patch["status"]);
        }
    }
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    (text("phase"), text("message"))
}

#[test]
fn the_phase_follows_templates_and_analyses_a581_to_a587() {
    for (row, template, analyses, want) in [
        ("A-585", "Running", vec![], "Running"),
        ("A-581", "Progressing", vec![], "Pending"),
        ("A-583", "Failed", vec![(true, "Running")], "Failed"),
        ("A-583", "Error", vec![(false, "Failed")], "Error"),
        ("A-584", "Successful", vec![], "Successful"),
        ("A-584", "Successful", vec![(true, "Running")], "Running"),
        ("A-584", "Successful", vec![(false, "Running")], "Successful"),
        ("A-584", "Successful", vec![(false, "Inconclusive")], "Inconclusive"),
        ("A-584", "Successful", vec![(true, "Failed")], "Failed"),
        ("A-585", "Running", vec![(false, "Successful")], "Running"),
        ("A-586", "Running", vec![(false, "Successful"), (false, "Successful")], "Running"),
        ("A-585", "Running", vec![(true, "Successful")], "Successful"),
        ("A-585", "Running", vec![(false, "Error")], "Error"),
        ("A-585", "Progressing", vec![(true, "Successful")], "Successful"),
        ("A-581: Failed is worse than Error", "Running", vec![(false, "Error"), (false, "Failed")], "Failed"),
        ("B-10", "Running", vec![(true, "Successful"), (false, "Running")], "Successful"),
        ("not all required", "Running", vec![(true, "Successful"), (true, "Running")], "Running"),
        ("one went wrong", "Running", vec![(true, "Successful"), (false, "Failed")], "Failed"),
    ] {
        let (phase, message) = phase_of(template, &analyses);
        assert_eq!(phase, want, "{row}: {template} {analyses:?}: {message}");
    }
    let (_, message) = phase_of("Running", &[(true, "Successful")]);
    assert_eq!(message, "Required AnalysisRuns completed");
}
