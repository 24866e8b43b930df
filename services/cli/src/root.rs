//! `convenio root`: a party's root keys, and the opening of its logs. Meant for a machine that is offline; a node never
//! holds a root key.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use convenio_model::{Entropy, SystemEntropy};
use convenio_seal::dsse::Envelope;
use convenio_seal::epoch::authorise_epoch;
use convenio_seal::key::{KEY_FILE_SUFFIX, PublicKey, SigningKey};
use convenio_seal::manifest::{MAX_MANIFEST, ManifestKeys};
use convenio_seal::origin::LogOrigin;
use convenio_seal::recovery::{recovery_from, sign_recovery};
use convenio_seal::root::{MAX_ROOTS, RootSet};
use convenio_seal::rotation::{sign_keys, sign_revocation};
use convenio_wire::exchange::v1::{EpochAuthorisation, KeyManifest, KeyRevocation};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::output::{say, write_file};

/// The public half of a party's roots, in the folder of the keys.
const ROOT_FILE: &str = "root.json";
/// Largest root file, bytes.
const MAX_ROOT_FILE: u64 = 16 * 1024;

/// Arguments of `convenio root`.
#[derive(Args, Debug)]
pub struct RootArgs {
    #[command(subcommand)]
    command: RootCommand,
}

#[derive(Subcommand, Debug)]
enum RootCommand {
    /// Make a party's root keys
    Init(InitArgs),
    /// Authorise a node's keys to open a log towards a partner
    OpenEpoch(OpenEpochArgs),
    /// Authorise new keys of a node in place of its present ones
    SignKeys(SignKeysArgs),
    /// Revoke a key of a node from an entry of a log on
    Revoke(RevokeArgs),
    /// Sign a request to have a lost log refilled
    SignRecovery(SignRecoveryArgs),
}

#[derive(Args, Debug)]
struct SignKeysArgs {
    /// Folder of the root keys; every key that is there signs
    #[arg(long)]
    root: PathBuf,
    /// The manifest of the new keys, as `convenio node keys --manifest-version` wrote it
    #[arg(long)]
    manifest: PathBuf,
    /// File to write into the node's folder of epochs, NAME.dsse.json
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct RevokeArgs {
    /// Folder of the root keys; every key that is there signs
    #[arg(long)]
    root: PathBuf,
    /// Manifest that names the key
    #[arg(long)]
    manifest: PathBuf,
    /// Which key: record, log, mirror or witness
    #[arg(long = "use")]
    key_use: String,
    /// Origin of the log that the next two speak of
    #[arg(long)]
    log_origin: String,
    /// Entries of that log that are still believed
    #[arg(long)]
    last_good_size: u64,
    /// Root of that log at this size, hexadecimal; empty if the size is 0
    #[arg(long, default_value = "")]
    last_good_root: String,
    /// Why
    #[arg(long, default_value = "compromised")]
    reason: String,
    /// File to write into the node's folder of epochs, NAME.dsse.json
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct SignRecoveryArgs {
    /// Folder of the root keys; every key that is there signs
    #[arg(long)]
    root: PathBuf,
    /// The request, as `convenio node recover --request-out` wrote it, or as another officer signed it
    #[arg(long)]
    request: PathBuf,
    /// File to write
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct InitArgs {
    /// The party, e.g. sv
    #[arg(long)]
    party: String,
    /// Folder to write; must be absent or empty
    #[arg(long)]
    dir: PathBuf,
    /// How many keys, 1 to 16; give each to another officer
    #[arg(long, default_value_t = 1)]
    keys: usize,
    /// How many of them must sign
    #[arg(long, default_value_t = 1)]
    threshold: usize,
}

#[derive(Args, Debug)]
struct OpenEpochArgs {
    /// Folder of the root keys; every key that is there signs
    #[arg(long)]
    root: PathBuf,
    /// The node's key manifest, as `convenio node keys` wrote it
    #[arg(long)]
    manifest: PathBuf,
    /// The agreement, e.g. sv-ca
    #[arg(long)]
    agreement: String,
    /// The partner's node, e.g. node.ca.example
    #[arg(long)]
    recipient: String,
    /// Number of the epoch
    #[arg(long, default_value_t = 1)]
    epoch: u64,
    /// Size at which the previous epoch ended; from epoch 2 on
    #[arg(long, default_value_t = 0)]
    prev_size: u64,
    /// Root hash of the previous epoch at that size, hexadecimal; from epoch 2 on
    #[arg(long, default_value = "")]
    prev_root: String,
    /// Why the epoch is opened
    #[arg(long, default_value = "initial")]
    reason: String,
    /// File to write, NAME.dsse.json
    #[arg(long)]
    out: PathBuf,
}

/// A party's roots: the public set, and those private keys that are in the folder.
pub struct Root {
    /// The public set.
    pub set: RootSet,
    /// Private keys, at least one.
    pub keys: Vec<SigningKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RootFile {
    party: String,
    threshold: usize,
    /// SubjectPublicKeyInfo, base64.
    keys: Vec<String>,
}

/// Runs `convenio root`.
///
/// # Errors
/// One message that names the file or argument.
pub fn run(args: RootArgs) -> anyhow::Result<()> {
    match args.command {
        RootCommand::Init(args) => {
            let set = init(&args.dir, &args.party, args.keys, args.threshold, &SystemEntropy::default())?;
            say(args.dir.join(ROOT_FILE).display())?;
            for (nth, key) in set.keys().iter().enumerate() {
                let path = args.dir.join(key_name(nth + 1));
                say(format_args!("{}  {}", path.display(), hex::encode(key.key_id())))?;
            }
            say("Keep the private keys offline: whoever has them speaks for the party.")
        }
        RootCommand::OpenEpoch(args) => open_epoch(&args),
        RootCommand::SignKeys(args) => sign_new_keys(&args),
        RootCommand::Revoke(args) => revoke(&args),
        RootCommand::SignRecovery(args) => sign_request(&args),
    }
}

/// Makes a party's root keys and the file that describes them.
fn init(dir: &Path, party: &str, keys: usize, threshold: usize, entropy: &dyn Entropy) -> anyhow::Result<RootSet> {
    ensure!((1..=MAX_ROOTS).contains(&keys), "--keys must be 1 to {MAX_ROOTS}");
    ensure!((1..=keys).contains(&threshold), "--threshold must be 1 to the number of keys");
    let private: Vec<_> = (0..keys).map(|_| SigningKey::generate(entropy)).collect();
    let set = RootSet::new(party, threshold, private.iter().map(SigningKey::public).collect())
        .with_context(|| format!("--party {party:?}"))?;
    let shown = dir.display();
    DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| format!("{shown}: cannot be made"))?;
    let mut entries = fs::read_dir(dir).with_context(|| format!("{shown}: cannot be read"))?;
    ensure!(entries.next().is_none(), "{shown} is not empty: root keys are never overwritten");
    for (nth, key) in private.iter().enumerate() {
        let path = dir.join(key_name(nth + 1));
        key.store(&path).with_context(|| path.display().to_string())?;
    }
    let keys = set.keys().iter().map(PublicKey::spki_base64).collect();
    let file = RootFile { party: party.to_owned(), threshold, keys };
    let json = serde_json::to_string_pretty(&file).context("root file")? + "\n";
    write_file(&dir.join(ROOT_FILE), json.as_bytes())?;
    Ok(set)
}

/// Reads the public half, from the file itself or the folder of the keys.
///
/// # Errors
/// The file, and what is wrong with it.
pub fn public(path: &Path) -> anyhow::Result<RootSet> {
    let path = if path.is_dir() { path.join(ROOT_FILE) } else { path.to_owned() };
    let shown = path.display();
    let size = fs::metadata(&path).with_context(|| format!("{shown}: cannot be read"))?.len();
    ensure!(size <= MAX_ROOT_FILE, "{shown}: larger than {MAX_ROOT_FILE} bytes");
    let text = fs::read(&path).with_context(|| format!("{shown}: cannot be read"))?;
    let file: RootFile = serde_json::from_slice(&text).with_context(|| format!("{shown}: not a root file"))?;
    let keys = file.keys.iter().map(|key| PublicKey::from_spki_base64(key)).collect::<Result<Vec<_>, _>>();
    let keys = keys.with_context(|| format!("{shown}: keys"))?;
    RootSet::new(&file.party, file.threshold, keys).with_context(|| format!("{shown}"))
}

impl Root {
    /// Reads a folder as [`init`] made it. Keys may be absent: other officers have them.
    ///
    /// # Errors
    /// The file, and what is wrong with it; also if no private key is there.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let set = public(dir)?;
        let mut keys = Vec::new();
        for (nth, public) in set.keys().iter().enumerate() {
            let path = dir.join(key_name(nth + 1));
            if !path.exists() {
                continue;
            }
            let key = SigningKey::load(&path).with_context(|| path.display().to_string())?;
            ensure!(key.public() == *public, "{}: is not the key that {ROOT_FILE} names", path.display());
            keys.push(key);
        }
        if keys.is_empty() {
            bail!("{}: holds no root key {}", dir.display(), key_name(1));
        }
        Ok(Self { set, keys })
    }

    /// The private keys that are there.
    pub fn signers(&self) -> Vec<&SigningKey> {
        self.keys.iter().collect()
    }
}

fn open_epoch(args: &OpenEpochArgs) -> anyhow::Result<()> {
    let root = Root::load(&args.root)?;
    let shown = args.manifest.display();
    let key_manifest = fs::read(&args.manifest).with_context(|| format!("{shown}: cannot be read"))?;
    ensure!(key_manifest.len() <= MAX_MANIFEST, "{shown}: larger than {MAX_MANIFEST} bytes");
    let keys = ManifestKeys::parse(&key_manifest).with_context(|| format!("{shown}"))?;
    ensure!(keys.party == root.set.party(), "{shown}: is of {}, the roots are {}'s", keys.party, root.set.party());
    let origin = LogOrigin::new(&keys.node, &args.agreement, &args.recipient, args.epoch)
        .with_context(|| format!("--agreement {:?}, --recipient {:?}", args.agreement, args.recipient))?;
    let prev_root = hex::decode(&args.prev_root).context("--prev-root is not hexadecimal")?;
    let authorisation = EpochAuthorisation {
        log_origin: origin.to_string(),
        epoch: args.epoch,
        prev_size: args.prev_size,
        prev_root,
        reason: args.reason.clone(),
        key_manifest,
    };
    let envelope = authorise_epoch(&authorisation, &root.signers()).context("the authorisation")?;
    write_file(&args.out, envelope.to_json().as_bytes())?;
    say(format_args!("{}  opens {origin}", args.out.display()))
}

fn manifest_of(path: &Path, root: &Root) -> anyhow::Result<KeyManifest> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("{shown}: cannot be read"))?;
    let keys = ManifestKeys::parse(&bytes).with_context(|| format!("{shown}"))?;
    ensure!(keys.party == root.set.party(), "{shown}: is of {}, the roots are {}'s", keys.party, root.set.party());
    KeyManifest::decode(bytes.as_slice()).with_context(|| format!("{shown}"))
}

fn sign_new_keys(args: &SignKeysArgs) -> anyhow::Result<()> {
    let root = Root::load(&args.root)?;
    let manifest = manifest_of(&args.manifest, &root)?;
    let envelope = sign_keys(&manifest, &root.signers()).context("the manifest")?;
    write_file(&args.out, envelope.to_json().as_bytes())?;
    say(format_args!("{}  keys {} of {}", args.out.display(), manifest.version, manifest.node))
}

fn revoke(args: &RevokeArgs) -> anyhow::Result<()> {
    let root = Root::load(&args.root)?;
    let manifest = manifest_of(&args.manifest, &root)?;
    let key = manifest.keys.iter().find(|key| key.r#use == args.key_use).context("--use names no key")?;
    let key_id = PublicKey::from_spki_der(&key.spki)?.key_id().to_vec();
    let said = KeyRevocation {
        party: manifest.party.clone(),
        node: manifest.node.clone(),
        key_id,
        r#use: args.key_use.clone(),
        log_origin: args.log_origin.clone(),
        last_good_size: args.last_good_size,
        last_good_root: hex::decode(&args.last_good_root).context("--last-good-root is not hexadecimal")?,
        reason: args.reason.clone(),
    };
    let envelope = sign_revocation(&said, &root.signers()).context("the revocation")?;
    write_file(&args.out, envelope.to_json().as_bytes())?;
    say(format_args!("{}  revokes the {} key of {}", args.out.display(), args.key_use, manifest.node))
}

fn sign_request(args: &SignRecoveryArgs) -> anyhow::Result<()> {
    let root = Root::load(&args.root)?;
    let shown = args.request.display();
    let envelope = Envelope::load(&args.request).with_context(|| shown.to_string())?;
    let said = recovery_from(&envelope).with_context(|| shown.to_string())?;
    ensure!(said.party == root.set.party(), "{shown}: is of {}, the roots are {}'s", said.party, root.set.party());
    let signed = sign_recovery(&envelope, &root.signers()).with_context(|| shown.to_string())?;
    write_file(&args.out, signed.to_json().as_bytes())?;
    say(format_args!("{}  closes {}", args.out.display(), said.log_origin))
}

fn key_name(nth: usize) -> String {
    format!("root-{nth}{KEY_FILE_SUFFIX}")
}
