//! The sender against a socket on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what went wrong by panicking")]

use std::time::Duration;

use glidepath_metrics::{HttpRequest, HttpSender, SendErrorKind, Sender};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Serves every connection the same bytes and hands back the address.
async fn serve(answer: &'static str, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                tokio::time::sleep(pause).await;
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    format!("http://{address}/x")
}

fn get(url: &str, timeout: Duration) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url: url.to_owned(), timeout, ..HttpRequest::default() }
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_response_is_read_whole_whatever_its_status() {
    let url =
        serve("HTTP/1.1 503 Sorry\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", Duration::ZERO)
            .await;
    let response = HttpSender::new().unwrap().send(get(&url, LONG)).await.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (503, b"hello".as_slice()));
}

#[tokio::test]
async fn a_closed_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://user:secret@{address}/");
    drop(listener);
    let error = HttpSender::new().unwrap().send(get(&url, LONG)).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Connect);
    assert_eq!(
        error.text,
        format!("Get \"http://{address}/\": dial tcp {address}: connect: connection refused"),
        "in the words of Go's client, without the password"
    );
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let url = serve("", Duration::from_secs(5)).await;
    let error = HttpSender::new().unwrap().send(get(&url, Duration::from_millis(100))).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Timeout);
    let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    assert!(error.text.ends_with(late), "{error}");
    let error = HttpSender::new().unwrap().send(get(&url, Duration::ZERO)).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Timeout, "A-353: no time at all is a deadline that has passed");
}

#[tokio::test]
async fn an_endless_redirect_ends_a372() {
    let url = serve(
        "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        Duration::ZERO,
    )
    .await;
    let error = HttpSender::new().unwrap().send(get(&url, LONG)).await.unwrap_err();
    assert!(error.text.contains("redirect"), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_b08() {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let body = "x".repeat(glidepath_metrics::BODY_LIMIT + 1);
    let url = serve(Box::leak(format!("{head}{body}").into_boxed_str()), Duration::ZERO).await;
    let error = HttpSender::new().unwrap().send(get(&url, LONG)).await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::TooLarge);
}

#[tokio::test]
async fn nonsense_is_refused_before_it_is_sent() {
    let sender = HttpSender::new().unwrap();
    for (method, url) in [("GET", "no address"), ("G T", "http://127.0.0.1:1/"), ("GET", "mailto:me")] {
        let request = HttpRequest { method: method.to_owned(), ..get(url, LONG) };
        let error = sender.send(request).await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::Invalid, "{error}");
    }
}
