//! `kubectl exec`: commands in running containers, over WebSocket. The API server itself runs nothing: it asks
//! whoever hosts the kubelets.

use std::sync::{Arc, PoisonError};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::call::{Answer, Call, Target};
use crate::document;
use crate::logs::LogError;
use crate::plane::Plane;
use crate::refusal::{Refusal, Reply};
use crate::websocket::{self, Message};

/// What a `GET …/pods/x/exec` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container; already resolved to the first when none was named.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether the command is given input; otherwise it finds none.
    pub stdin: bool,
}

/// A command that runs. Dropping it ends the command.
pub struct ExecSession {
    /// Where its input goes, if it was asked for.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// What it writes.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// What it complains of.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// Its exit code, once it has ended.
    pub exit: BoxFuture<'static, i32>,
}

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession").finish_non_exhaustive()
    }
}

/// Runs commands in containers. Whoever runs the kubelets registers one with
/// [`crate::Sandbox::set_exec_source`].
pub trait ExecSource: Send + Sync {
    /// Starts a command.
    fn start(&self, request: ExecRequest) -> BoxFuture<'static, Result<ExecSession, LogError>>;
}

/// Channels of the protocol: the first byte of every message.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ENDING: u8 = 3;
const CLOSE: u8 = 255;

/// `/exec` of a pod.
pub(crate) async fn serve(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let request = parse_request(plane, call, target)?;
    let source = plane.execs.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(source) = source else {
        let why = format!("no kubelet here runs commands in pod {:?}", target.name);
        return Err(Refusal::new(501, "NotImplemented", why));
    };
    let (accepted, upgrade) = websocket::accept(call, &["v5.channel.k8s.io", "v4.channel.k8s.io"])?;
    let wanted =
        [("stdout", STDOUT), ("stderr", STDERR)].map(|(name, channel)| (call.query.flag(name), channel));
    // Why a command does not start is said over the connection: clients that are refused one try another protocol.
    let started = source.start(request).await;
    tokio::spawn(async move {
        match (upgrade.await, started) {
            (Ok(stream), Ok(session)) => run(session, stream, wanted).await,
            (Ok(stream), Err(error)) => {
                let (_, mut outgoing) = websocket::split(stream);
                // The client may have gone; then nobody is to be told.
                let _ =
                    outgoing.send(&with_channel(ENDING, not_started(&error).to_string().as_bytes())).await;
                let _ = outgoing.close().await;
            }
            (Err(error), _) => tracing::debug!(%error, "the connection of a command was not taken over"),
        }
    });
    Ok(accepted)
}

/// `/attach` and `/portforward`: what is said instead.
pub(crate) fn refuse(target: &Target) -> Refusal {
    let why = match target.subresource.as_str() {
        "portforward" => {
            "port-forward is not served here: under --kubelet process a pod listens on this machine, on the port that its annotation sandbox.glidepath.dev/port.<containerPort> names; under --kubelet model nothing listens"
        }
        _ => "attach is not served here: use logs --follow or exec",
    };
    Refusal::new(501, "NotImplemented", why)
}

fn parse_request(plane: &Plane, call: &Call, target: &Target) -> Reply<ExecRequest> {
    let pod =
        plane.store.lock().get(&target.resource.table, &target.key()).ok_or_else(|| target.not_found())?;
    let pod = pod.object();
    if matches!(document::text(&pod, "/status/phase"), "Succeeded" | "Failed") {
        let phase = document::text(&pod, "/status/phase");
        let why = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(Refusal::bad_request(why));
    }
    let names: Vec<&str> = pod
        .pointer("/spec/containers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|container| document::text(container, "/name"))
        .collect();
    let asked = call.query.get("container");
    let container = match (asked, names.first()) {
        ("", Some(first)) => *first,
        (asked, _) if names.contains(&asked) => asked,
        _ => {
            let why = format!("container {asked} is not valid for pod {}", target.name);
            return Err(Refusal::bad_request(why));
        }
    };
    let command: Vec<String> = call.query.all("command").into_iter().map(str::to_owned).collect();
    if command.is_empty() {
        return Err(Refusal::bad_request("you must specify at least one command for the container"));
    }
    Ok(ExecRequest {
        namespace: target.namespace.clone(),
        pod: target.name.clone(),
        container: container.to_owned(),
        command,
        stdin: call.query.flag("stdin"),
    })
}

/// Carries input to the command and output back until it has ended or the client has gone.
async fn run(session: ExecSession, stream: hyper::upgrade::Upgraded, wanted: [(bool, u8); 2]) {
    let (mut incoming, mut outgoing) = websocket::split(stream);
    let (send, mut pieces) = mpsc::channel::<Vec<u8>>(16);
    let ExecSession { stdin, stdout, stderr, exit } = session;
    let [out, err] = wanted;
    let work = async move {
        let (code, (), ()) =
            tokio::join!(exit, carry(stdout, out, send.clone()), carry(stderr, err, send.clone()));
        // The client may have gone; then nobody waits for the ending.
        let _ = send.send(with_channel(ENDING, ending(code).to_string().as_bytes())).await;
    };
    let write = async {
        while let Some(piece) = pieces.recv().await {
            if outgoing.send(&piece).await.is_err() {
                return;
            }
        }
        let _ = outgoing.close().await;
    };
    let read = async {
        let mut stdin = stdin;
        loop {
            match incoming.next().await {
                Ok(Some(Message::Data(bytes))) => match bytes.split_first() {
                    Some((&STDIN, rest)) => {
                        // A command that does not read its input loses it.
                        if let Some(pipe) = &mut stdin {
                            let _ = pipe.write_all(rest).await;
                            let _ = pipe.flush().await;
                        }
                    }
                    Some((&CLOSE, [STDIN, ..])) => stdin = None,
                    _ => {}
                },
                Ok(Some(Message::Ping)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(work, write) } => {}
        () = read => {}
    }
}

fn with_channel(channel: u8, bytes: &[u8]) -> Vec<u8> {
    let mut piece = Vec::with_capacity(bytes.len() + 1);
    piece.push(channel);
    piece.extend_from_slice(bytes);
    piece
}

/// Output that nobody asked for is read all the same, so that the command is not held up.
async fn carry(
    mut from: Box<dyn AsyncRead + Send + Unpin>,
    (wanted, channel): (bool, u8),
    to: mpsc::Sender<Vec<u8>>,
) {
    let mut buffer = vec![0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if wanted && to.send(with_channel(channel, &buffer[..count])).await.is_err() {
            return;
        }
    }
}

/// How a command ended, as clients read it.
fn ending(code: i32) -> Value {
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

/// Why a command did not start, as clients read it.
fn not_started(error: &LogError) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {error}"),
    })
}

/// Where the plane keeps who runs commands.
pub(crate) type Execs = std::sync::RwLock<Option<Arc<dyn ExecSource>>>;
