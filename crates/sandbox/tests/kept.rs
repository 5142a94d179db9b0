//! A plane with a data folder: what was acknowledged outlives a kill at any moment, and a disk that takes no more
//! damages nothing.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use glidepath_sandbox::Sandbox;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use support::{get, post};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn kept(folder: &Path) -> Result<Sandbox, glidepath_sandbox::Error> {
    Sandbox::builder().data_dir(Some(folder.to_owned())).build()
}

/// Serves the folder named by `GLIDEPATH_KEPT` until it is killed. Started by the tests below as a process of
/// its own; alone it does nothing.
#[tokio::test]
#[ignore = "a helper process of other tests"]
async fn a_plane_that_will_be_killed() {
    let Some(folder) = std::env::var_os("GLIDEPATH_KEPT") else { return };
    let folder = Path::new(&folder);
    let sandbox = kept(&folder.join("data")).unwrap();
    let running = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    running.write_kubeconfig(&folder.join("kubeconfig.new")).unwrap();
    // Whoever waits for the file must not see half of it.
    std::fs::rename(folder.join("kubeconfig.new"), folder.join("kubeconfig")).unwrap();
    std::future::pending::<()>().await;
}

/// Runs the helper above; `limit` is the largest file it may write, in blocks of 512 bytes.
fn start(folder: &Path, limit: Option<u64>) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = match limit {
        None => Command::new(program),
        Some(blocks) => {
            let mut shell = Command::new("sh");
            // Without the trap the signal for too large files would end the process at once.
            shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(program);
            shell
        }
    };
    let _ = std::fs::remove_file(folder.join("kubeconfig"));
    command
        .args(["--exact", "a_plane_that_will_be_killed", "--ignored"])
        .env("GLIDEPATH_KEPT", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn connect(folder: &Path) -> kube::Client {
    let path = folder.join("kubeconfig");
    for _ in 0..600 {
        if path.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(path).unwrap(), &options);
    kube::Client::try_from(config.await.unwrap()).unwrap()
}

/// Creates a config map; whether that was acknowledged.
async fn write(client: &kube::Client, name: &str, data: &str) -> Result<(), String> {
    let body = json!({ "metadata": { "name": name }, "data": { "text": data } }).to_string();
    let request =
        http::Request::post(MAPS).header("content-type", "application/json").body(body.into_bytes()).unwrap();
    client.request_text(request).await.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(4);
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..6 {
        let mut process = start(folder.path(), None);
        let client = connect(folder.path()).await;
        // Four writers at once, so that some writes are always under way.
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut done = Vec::new();
                    for number in 0.. {
                        let name = format!("r{round}-w{writer}-{number}");
                        if write(&client, &name, &"x".repeat(200)).await.is_err() {
                            break;
                        }
                        done.push(name);
                    }
                    done
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(random.u64(50..400))).await;
        process.kill().unwrap();
        process.wait().unwrap();
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
    }
    let sandbox = kept(&folder.path().join("data")).unwrap();
    for name in &acknowledged {
        assert_eq!(get(&sandbox, &format!("{MAPS}/{name}")).await.code, 200, "{name}");
    }
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
}

#[cfg(unix)]
#[tokio::test]
async fn a_disk_that_takes_no_more_refuses_writes_and_damages_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path(), Some(1000));
    let client = connect(folder.path()).await;
    let mut acknowledged = Vec::new();
    let refused = loop {
        let name = format!("m{}", acknowledged.len());
        match write(&client, &name, &"x".repeat(20_000)).await {
            Ok(()) => acknowledged.push(name),
            Err(why) => break why,
        }
        assert!(acknowledged.len() < 1000, "the limit is never met");
    };
    assert!(refused.contains("the write is not on disk: "), "{refused}");
    // Nothing is taken any more that could be lost, however small.
    let again = write(&client, "small", "x").await.unwrap_err();
    assert!(again.contains("the data folder takes no more writes: "), "{again}");
    assert!(!acknowledged.is_empty());
    process.kill().unwrap();
    process.wait().unwrap();
    let sandbox = kept(&folder.path().join("data")).unwrap();
    for name in &acknowledged {
        assert_eq!(get(&sandbox, &format!("{MAPS}/{name}")).await.code, 200, "{name}");
    }
    assert_eq!(get(&sandbox, &format!("{MAPS}/small")).await.code, 404);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_at_the_start_is_one_clear_line_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = kept(folder.path()).unwrap();
    assert_eq!(post(&sandbox, MAPS, &json!({ "metadata": { "name": "a" } })).await.code, 201);
    drop(sandbox);
    let before = loop {
        // The thread that writes lets go of the folder a moment after the plane is gone.
        match kept(folder.path()) {
            Ok(sandbox) => {
                drop(sandbox);
                tokio::time::sleep(Duration::from_millis(100)).await;
                break std::fs::read(folder.path().join("objects.journal")).unwrap();
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    // Whatever is written there meets a full disk.
    std::os::unix::fs::symlink("/dev/full", folder.path().join("objects.journal.new")).unwrap();
    let error = kept(folder.path()).unwrap_err();
    let mut line = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        line += &format!(": {cause}");
        source = cause.source();
    }
    assert!(line.contains("cannot write") && line.contains("No space left on device"), "{line}");
    assert_eq!(line.lines().count(), 1);
    assert_eq!(std::fs::read(folder.path().join("objects.journal")).unwrap(), before);
    std::fs::remove_file(folder.path().join("objects.journal.new")).unwrap();
    let sandbox = kept(folder.path()).unwrap();
    assert_eq!(get(&sandbox, &format!("{MAPS}/a")).await.code, 200);
}
