//! The nodes as operating-system processes.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::setup::StateDir;

/// How long a node may take to serve.
const START: Duration = Duration::from_secs(30);
/// How long a node may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);
/// Last lines of what a node wrote that are shown when it does not start.
const SHOWN_LINES: usize = 12;

/// One node's process. Dropping it kills the process.
pub struct NodeProcess {
    name: String,
    config: PathBuf,
    address_file: PathBuf,
    output: PathBuf,
    child: Option<Child>,
    /// Largest resident memory seen, KiB.
    peak_kib: u64,
}

impl NodeProcess {
    /// The node of `state`, not started yet.
    pub fn new(state: &StateDir) -> Self {
        Self {
            name: state.state.node.clone(),
            config: state.config(),
            address_file: state.address_file(),
            output: state.dir.join("node.out"),
            child: None,
            peak_kib: 0,
        }
    }

    /// Starts the process and waits for the address that it listens on.
    ///
    /// # Errors
    /// It ended, with what it wrote, or has no address after 30 s.
    pub async fn start(&mut self) -> anyhow::Result<SocketAddr> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        // What an earlier process left would be mistaken for this one's.
        if let Err(error) = fs::remove_file(&self.address_file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("{}: cannot be removed", self.address_file.display()));
        }
        let exe = std::env::current_exe().context("this program's own path")?;
        let output = fs::File::create(&self.output).with_context(|| format!("{}", self.output.display()))?;
        let mut command = Command::new(exe);
        command.args(["node", "--config"]).arg(&self.config).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        self.child = Some(command.spawn().with_context(|| format!("{}: cannot be started", self.name))?);
        let until = Instant::now() + START;
        while Instant::now() < until {
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status}:\n{}", self.name, self.said());
            }
            // Written whole or not at all, so that half an address cannot be read.
            if let Some(address) = self.address() {
                return Ok(address);
            }
            sleep(LOOK).await;
        }
        bail!("{} does not serve after {} s:\n{}", self.name, START.as_secs(), self.said());
    }

    /// Kills the process with SIGKILL: it can close nothing.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.look_at_memory();
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.name))?;
        child.kill().with_context(|| format!("{}: cannot be killed", self.name))?;
        child.wait().with_context(|| format!("{}: cannot be waited for", self.name))?;
        Ok(())
    }

    /// Asks the process to end (SIGTERM) and waits until it did.
    ///
    /// # Errors
    /// It does not end within 30 s, or ends with an error.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.look_at_memory();
        let Some(pid) = self.child.as_ref().and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?)) else {
            return Ok(());
        };
        kill_process(pid, Signal::TERM).with_context(|| format!("{}: cannot be asked to end", self.name))?;
        let until = Instant::now() + STOP;
        while Instant::now() < until {
            if let Some(status) = self.ended()? {
                self.child = None;
                ensure!(status.success(), "{} ended with {status}:\n{}", self.name, self.said());
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("{} does not end {} s after SIGTERM", self.name, STOP.as_secs());
    }

    /// Reads the process's peak of resident memory (VmHWM); a dead process has none any more.
    pub fn look_at_memory(&mut self) {
        let Some(child) = &self.child else { return };
        let Ok(status) = fs::read_to_string(format!("/proc/{}/status", child.id())) else { return };
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok());
        self.peak_kib = self.peak_kib.max(peak.unwrap_or_default());
    }

    /// Largest resident memory seen over all its processes, MiB rounded up.
    pub fn peak_mib(&self) -> u64 {
        self.peak_kib.div_ceil(1024)
    }

    fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        child.try_wait().with_context(|| format!("{}: cannot be looked at", self.name))
    }

    /// The address that the process listens on, once it does.
    pub fn address(&self) -> Option<SocketAddr> {
        fs::read_to_string(&self.address_file).ok()?.trim().parse().ok()
    }

    /// The end of what the process wrote.
    fn said(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; either way nothing is left behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
