//! The web service of the demo: tells its version, fails a fixed share of its requests, counts them.
//!
//! Failures are spread evenly and without chance, so that a demo tells the same story every time.

use std::env;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::plane::accept_loop;

/// How long the service goes on taking requests after SIGTERM, so that everyone has heard that it goes.
const LINGER: Duration = Duration::from_millis(500);

/// How the service behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it calls itself.
    pub version: String,
    /// Percent of requests to `/` and other pages that are answered with 500, 0 to 100.
    pub fail_percent: u64,
}

impl Settings {
    /// Reads settings by name: `HOST` (default 127.0.0.1), `PORT` (8080), `VERSION` (1), `FAIL_PERCENT` (0).
    ///
    /// # Errors
    /// Names the first setting that cannot be read.
    pub fn parse(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let host = get("HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
        let ip: IpAddr = host.parse().map_err(|_| format!("HOST {host:?} is not an IP address"))?;
        let port = get("PORT").unwrap_or_else(|| "8080".to_owned());
        let port: u16 = port.parse().map_err(|_| format!("PORT {port:?} is not a port"))?;
        let percent = get("FAIL_PERCENT").unwrap_or_else(|| "0".to_owned());
        let fail_percent = percent
            .parse()
            .ok()
            .filter(|percent| *percent <= 100)
            .ok_or_else(|| format!("FAIL_PERCENT {percent:?} is not a number from 0 to 100"))?;
        let version = get("VERSION").unwrap_or_else(|| "1".to_owned());
        Ok(Self { address: SocketAddr::new(ip, port), version, fail_percent })
    }
}

/// Counts and answers.
#[derive(Debug)]
struct Web {
    version: String,
    fail_percent: u64,
    seen: AtomicU64,
    failed: AtomicU64,
}

impl Web {
    /// The answer to a request: code, content type and body.
    fn answer(&self, path: &str) -> (StatusCode, &'static str, String) {
        let version = &self.version;
        match path {
            "/healthz" => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
            "/version" => (StatusCode::OK, "text/plain", format!("{version}\n")),
            "/metrics" => (StatusCode::OK, "text/plain; version=0.0.4", self.render_metrics()),
            _ => {
                let number = self.seen.fetch_add(1, Ordering::Relaxed);
                if fails(number, self.fail_percent) {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    let body = format!(
                        "{{\"version\":{version:?},\"error\":\"this request was chosen to fail\"}}\n"
                    );
                    return (StatusCode::INTERNAL_SERVER_ERROR, "application/json", body);
                }
                (StatusCode::OK, "application/json", format!("{{\"version\":{version:?}}}\n"))
            }
        }
    }

    fn render_metrics(&self) -> String {
        let failed = self.failed.load(Ordering::Relaxed);
        let good = self.seen.load(Ordering::Relaxed).saturating_sub(failed);
        let version = &self.version;
        format!(
            "# HELP http_requests_total Requests answered.\n# TYPE http_requests_total counter\n\
             http_requests_total{{status=\"200\",version=\"{version}\"}} {good}\n\
             http_requests_total{{status=\"500\",version=\"{version}\"}} {failed}\n"
        )
    }
}

/// True if request `number` (from 0) is one of the `percent` of each hundred that fail, spread evenly.
fn fails(number: u64, percent: u64) -> bool {
    let place = number % 100;
    (place + 1) * percent / 100 > place * percent / 100
}

/// Serves until `stop` turns true, then lets requests finish. Returns where it listens at once, and the work.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn serve(
    settings: Settings,
    stop: watch::Receiver<bool>,
) -> std::io::Result<(SocketAddr, impl Future<Output = ()> + Send)> {
    let socket = TcpListener::bind(settings.address).await?;
    let address = socket.local_addr()?;
    let web = Arc::new(Web {
        version: settings.version,
        fail_percent: settings.fail_percent,
        seen: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    let work = accept_loop(socket, stop, move |_, request: Request<_>| {
        let web = Arc::clone(&web);
        async move {
            let (code, kind, body) = web.answer(request.uri().path());
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = code;
            response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
            response
        }
    });
    Ok((address, work))
}

/// The whole program: settings from the environment, serving until SIGTERM or SIGINT, then a quiet end.
///
/// # Errors
/// If a setting cannot be read or the address cannot be listened on.
pub async fn run_from_env() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let settings = Settings::parse(|name| env::var(name).ok())?;
    let (stopper, stop) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (_, work) = serve(settings, stop).await?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // The cluster hears of the end at the same time as we do; requests still come for a moment.
        tokio::time::sleep(LINGER).await;
        stopper.send_replace(true);
    });
    work.await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_failures_is_exact_in_every_hundred() {
        for percent in [0, 1, 5, 33, 50, 99, 100] {
            for start in [0, 100, 700] {
                let failed = (start..start + 100).filter(|number| fails(*number, percent)).count() as u64;
                assert_eq!(failed, percent, "from {start}");
            }
        }
        assert_eq!((0..40).filter(|number| fails(*number, 5)).collect::<Vec<_>>(), [19, 39]);
    }

    #[test]
    fn settings_have_defaults_and_name_what_is_wrong() {
        let with = |pairs: &'static [(&str, &str)]| {
            Settings::parse(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let defaults = with(&[]).unwrap();
        assert_eq!((defaults.address.to_string().as_str(), defaults.fail_percent), ("127.0.0.1:8080", 0));
        assert_eq!(
            with(&[("FAIL_PERCENT", "101")]).unwrap_err(),
            "FAIL_PERCENT \"101\" is not a number from 0 to 100"
        );
        assert_eq!(with(&[("PORT", "http")]).unwrap_err(), "PORT \"http\" is not a port");
        assert_eq!(with(&[("HOST", "here")]).unwrap_err(), "HOST \"here\" is not an IP address");
    }

    #[test]
    fn health_and_version_never_fail_and_are_not_counted() {
        let web = Web {
            version: "3".to_owned(),
            fail_percent: 100,
            seen: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        assert_eq!(web.answer("/healthz").0, StatusCode::OK);
        assert_eq!(web.answer("/version").2, "3\n");
        assert_eq!(web.answer("/").0, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(web.answer("/metrics").2.contains("http_requests_total{status=\"500\",version=\"3\"} 1\n"));
    }
}
