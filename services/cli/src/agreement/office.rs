//! `convenio agreement office-key`, and the keys with which offices act.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use convenio_model::SystemEntropy;
use convenio_seal::key::{KEY_FILE_SUFFIX, SigningKey};
use convenio_seal::name::{is_office, is_party};
use convenio_seal::trust::{TrustFile, TrustedOffice};

use crate::output::{say, write_file};

/// Ending of the file that holds an office's public key: one `office` line of a trust file.
const OFFICE_FILE_SUFFIX: &str = ".office";

/// Arguments of `convenio agreement office-key`.
#[derive(Args, Debug)]
pub(super) struct OfficeKeyArgs {
    /// The party, e.g. sv
    #[arg(long)]
    party: String,
    /// The office, as the pack's [sign_off.PARTY] names it, e.g. minrex
    #[arg(long)]
    office: String,
    /// Folder to write NAME.sk.pem and NAME.office into
    #[arg(long)]
    dir: PathBuf,
}

/// Makes the key of an office.
///
/// # Errors
/// One message that names the file or argument.
pub(super) fn run(args: &OfficeKeyArgs) -> anyhow::Result<()> {
    ensure!(is_party(&args.party), "--party {:?} is not the name of a party", args.party);
    ensure!(is_office(&args.office), "--office {:?} is not the name of an office", args.office);
    let shown = args.dir.display();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&args.dir);
    made.with_context(|| format!("{shown}: cannot be made"))?;
    let key = SigningKey::generate(&SystemEntropy::default());
    let path = args.dir.join(format!("{}{KEY_FILE_SUFFIX}", args.office));
    key.store(&path).with_context(|| path.display().to_string())?;
    let office = TrustedOffice { party: args.party.clone(), office: args.office.clone(), key: key.public() };
    let public = args.dir.join(format!("{}{OFFICE_FILE_SUFFIX}", args.office));
    let line = TrustFile { offices: vec![office], ..TrustFile::default() }.to_string();
    write_file(&public, line.as_bytes())?;
    say(public.display())?;
    say("Keep the private key with the office: whoever has it speaks for it.")
}

/// Reads an office's public key.
///
/// # Errors
/// The file, and what is wrong with it.
pub(crate) fn public(path: &Path) -> anyhow::Result<TrustedOffice> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
    let read = TrustFile::parse(&text).with_context(|| shown.to_string())?;
    let [office] = read.offices.as_slice() else { bail!("{shown}: does not hold one office's key") };
    Ok(office.clone())
}

/// Reads a trust file.
///
/// # Errors
/// The file, and what is wrong with it.
pub(super) fn trust(path: &Path) -> anyhow::Result<TrustFile> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
    TrustFile::parse(&text).with_context(|| shown.to_string())
}

/// An office that acts.
pub(super) struct Office {
    /// Whose it is, and its public key.
    pub said: TrustedOffice,
    /// Its private key.
    pub key: SigningKey,
}

impl Office {
    /// Reads a private key and the public half beside it, as `office-key` wrote them.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let key = SigningKey::load(path).with_context(|| shown.to_string())?;
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(KEY_FILE_SUFFIX));
        let name = name.with_context(|| format!("{shown}: is not named NAME{KEY_FILE_SUFFIX}"))?;
        let beside = path.with_file_name(format!("{name}{OFFICE_FILE_SUFFIX}"));
        let said = public(&beside)?;
        ensure!(said.key == key.public(), "{}: is not the public half of {shown}", beside.display());
        Ok(Self { said, key })
    }
}
