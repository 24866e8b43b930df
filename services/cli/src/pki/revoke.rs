//! `convenio pki revoke` and `convenio pki crl`: a development authority takes certificates back.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use clap::Args;
use convenio_node::pki::{RevokedLeaf, revocation_list, serial_of};

use super::{BACKDATE, DAY};
use crate::output::{say, write_file};

/// Serial numbers taken back, each with the second since when.
const REVOKED: &str = "revoked";
/// Most certificates of a development authority that are taken back.
const MAX_REVOKED: usize = 10_000;

#[derive(Args, Debug)]
pub(super) struct RevokeArgs {
    /// Folder of the development set, with ca.pem and ca.sk.pem
    #[arg(long)]
    dir: PathBuf,
    /// Days until the next list; a node lets nobody in by an older one
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Certificates to take back, PEM
    #[arg(required = true)]
    certificates: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct CrlArgs {
    /// Folder of the development set, with ca.pem and ca.sk.pem
    #[arg(long)]
    dir: PathBuf,
    /// Days until the next list; a node lets nobody in by an older one
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

/// Takes certificates back and writes the list anew.
pub(super) fn revoke(args: &RevokeArgs, now: SystemTime) -> anyhow::Result<()> {
    let mut revoked = read(&args.dir)?;
    for path in &args.certificates {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
        let serial = serial_of(&text).with_context(|| shown.to_string())?;
        if revoked.iter().all(|leaf| leaf.serial != serial) {
            revoked.push(RevokedLeaf { serial, since: now });
        }
    }
    ensure!(revoked.len() <= MAX_REVOKED, "more than {MAX_REVOKED} certificates");
    let text: String =
        revoked.iter().map(|leaf| format!("{} {}\n", hex::encode(&leaf.serial), seconds(leaf.since))).collect();
    write_file(&args.dir.join(REVOKED), text.as_bytes())?;
    crl(&CrlArgs { dir: args.dir.clone(), days: args.days }, now)
}

/// Writes the list anew, with what was taken back so far.
pub(super) fn crl(args: &CrlArgs, now: SystemTime) -> anyhow::Result<()> {
    let file = |name: &str| {
        let path = args.dir.join(name);
        fs::read_to_string(&path).with_context(|| format!("{}: cannot be read", path.display()))
    };
    let (certificate, key) = (file("ca.pem")?, file("ca.sk.pem")?);
    let revoked = read(&args.dir)?;
    let start = now.checked_sub(BACKDATE).unwrap_or(now);
    // Lists are numbered by the second at which they are made.
    let list = revocation_list(&certificate, &key, &revoked, seconds(now), start, now + DAY * args.days)?;
    let path = args.dir.join("crl.pem");
    write_file(&path, list.as_bytes())?;
    say(format_args!("{}  {} revoked, for {} days", path.display(), revoked.len(), args.days))
}

fn read(dir: &Path) -> anyhow::Result<Vec<RevokedLeaf>> {
    let path = dir.join(REVOKED);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
    };
    let line = |line: &str| {
        let (serial, since) = line.split_once(' ')?;
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since.parse().ok()?))?;
        Some(RevokedLeaf { serial: hex::decode(serial).ok()?, since })
    };
    let lines: Option<Vec<_>> = text.lines().map(line).collect();
    match lines {
        Some(lines) => Ok(lines),
        None => bail!("{}: not lines of a serial number and a second", path.display()),
    }
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
