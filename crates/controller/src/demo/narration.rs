//! How the story is shown while it is told: drawn on a terminal, in plain lines elsewhere. Never ends by itself.

use std::sync::Arc;
use std::time::Duration;

use glidepath_clock::Clock;
use glidepath_view::Paint;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::interval;

use super::ledger::{Chapter, Service};
use super::manifests::{SHOP, WEB};
use super::scene::{Scene, render_scene, render_share};
use super::witness::{News, Witness};
use super::world::World;
use crate::terminal::{Screen, say, size};

/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(300);
/// How often plain lines tell the measured split.
const MEASURE: Duration = Duration::from_secs(5);

/// Shows what happens: drawn if a way to paint is given, as lines otherwise.
pub(crate) async fn narrate(witness: &Arc<Witness>, world: &World, clock: Clock, paint: Option<Paint>) {
    match paint {
        Some(paint) => draw(witness, world, clock, paint).await,
        None => print_lines(witness).await,
    }
}

async fn draw(witness: &Arc<Witness>, world: &World, clock: Clock, paint: Paint) {
    let screen = Screen::open();
    let mut frames = interval(FRAME);
    loop {
        frames.tick().await;
        let mut scene = Scene::of(&witness.ledger(), witness.elapsed());
        let about = match scene.chapter {
            Some(Chapter::ShopFirst | Chapter::Switch | Chapter::End) => SHOP,
            _ => WEB,
        };
        // Before it exists there is no tree to show.
        scene.tree = world.fetch_tree(about, clock.now(), paint).await.unwrap_or_default();
        scene.log = witness.lines();
        screen.draw(&render_scene(&scene, size(), paint));
    }
}

async fn print_lines(witness: &Arc<Witness>) {
    let mut news = witness.subscribe();
    let mut measures = interval(MEASURE);
    loop {
        tokio::select! {
            told = news.recv() => match told {
                Ok((at, news)) => say(&render_news(at, &news)),
                Err(RecvError::Lagged(missed)) => say(&format!("({missed} lines were too quick to be told)\n")),
                Err(RecvError::Closed) => return,
            },
            _ = measures.tick() => say(&render_measures(witness)),
        }
    }
}

fn render_news(at: Duration, news: &News) -> String {
    let at = at.as_secs_f64();
    match news {
        News::Chapter(chapter) => format!("\n[{at:>5.1} s] == {} ==\n", chapter.title()),
        News::Weight(percent) => format!(
            "[{at:>5.1} s] the proxy splits: canary {percent} %, stable {} %\n",
            100 - percent.min(&100)
        ),
        News::Decision(line) => format!("[{at:>5.1} s] {line}\n"),
    }
}

/// Who answered in the last seconds; empty before anyone did.
fn render_measures(witness: &Witness) -> String {
    let elapsed = witness.elapsed();
    let ledger = witness.ledger();
    let mut text = String::new();
    for (service, name) in [(Service::Web, "web"), (Service::Shop, "shop")] {
        let tally = ledger.tally(service, elapsed.saturating_sub(MEASURE));
        let total: u64 = tally.values().sum();
        if total == 0 {
            continue;
        }
        let shares: Vec<String> = tally
            .iter()
            .map(|(version, count)| {
                let who = if version.is_empty() { "nobody".to_owned() } else { format!("version {version}") };
                format!("{who} {}", render_share(*count, total).trim_start())
            })
            .collect();
        let at = elapsed.as_secs_f64();
        text.push_str(&format!("[{at:>5.1} s] {name}: {total} requests answered by {}\n", shares.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::decisions::Line;

    #[test]
    fn news_are_one_line_each_with_their_time() {
        let decision =
            Line { about: "rollout/web".to_owned(), what: "scale".to_owned(), why: "because".to_owned() };
        let cases = [
            (News::Weight(20), "[  1.5 s] the proxy splits: canary 20 %, stable 80 %\n"),
            (News::Decision(decision), "[  1.5 s] rollout/web scale  [because]\n"),
            (News::Chapter(Chapter::First), "\n[  1.5 s] == version 1 serves ==\n"),
        ];
        for (news, expected) in cases {
            assert_eq!(render_news(Duration::from_millis(1_500), &news), expected);
        }
    }
}
