//! `glidepath demo`: one story of a canary and a blue-green release with real traffic, told to its end.

mod account;
mod decisions;
mod judgement;
mod ledger;
mod manifests;
mod prometheus;
mod users;
mod web;
mod witness;

pub(crate) use manifests::parse_documents;
pub(crate) use web::run_web;
