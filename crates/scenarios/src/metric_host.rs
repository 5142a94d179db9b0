//! Metric addresses that answer as a story says.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Answers by path; the last one stays for ever.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Mutex<HashMap<String, VecDeque<(u16, String)>>>>);

impl Script {
    /// Lets `path` give these answers from now on.
    pub fn set(&self, path: &str, answers: Vec<(u16, String)>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), answers.into());
    }

    /// The next answer of `path`; 404 when no story speaks of it.
    #[must_use]
    pub fn next(&self, path: &str) -> (u16, String) {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match paths.get_mut(path) {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap_or_default(),
            Some(answers) => answers.front().cloned().unwrap_or((404, String::new())),
            None => (404, String::new()),
        }
    }
}

/// Serves a script over HTTP on loopback until the runtime ends; returns the beginning of its addresses.
///
/// # Errors
/// When no port can be bound.
pub async fn serve(script: Script) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let script = script.clone();
            tokio::spawn(async move {
                // A client that goes away early has lost its answer, nothing more.
                let _ = answer(stream, &script).await;
            });
        }
    });
    Ok(host)
}

async fn answer(mut stream: TcpStream, script: &Script) -> Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let (code, body) = script.next(path);
    let reply = format!(
        "HTTP/1.1 {code} Scripted\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}
