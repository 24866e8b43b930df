//! `convenio agreement submit` and `fetch`: the same acts and files over a link, with the caller's certificate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use convenio_negotiation::{Hash, SignedAct, sha256};
use convenio_node::tls::{TlsMaterial, connect, from_certificate};
use convenio_rpc::client::NegotiationServiceClient;
use convenio_seal::dsse::Envelope;
use convenio_seal::trust::TrustFile;
use convenio_wire::agreement::v1 as wire;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::folder::Folder;
use super::office;
use crate::output::say;

/// Largest answer, bytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

type Client = NegotiationServiceClient<Channel>;

/// A folder, a node, and the certificate with which it is called.
#[derive(Args, Debug)]
pub(super) struct LinkArgs {
    /// Folder of the negotiation
    #[arg(long)]
    dir: PathBuf,
    /// Trust file that names the keys of the offices of all parties
    #[arg(long)]
    trust: PathBuf,
    /// Where the node is, HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// The node's name, e.g. node.ca.example
    #[arg(long)]
    node: String,
    /// Trust domain of the node's state, e.g. ca.example
    #[arg(long)]
    domain: String,
    /// Authority of the node's state, PEM
    #[arg(long)]
    ca: PathBuf,
    /// The caller's certificate, NAME.pem with NAME.sk.pem beside it: of the own ministry for the own node, of the own node for
    /// the partner's
    #[arg(long)]
    certificate: PathBuf,
}

/// Arguments of `convenio agreement fetch`.
#[derive(Args, Debug)]
pub(super) struct FetchArgs {
    #[command(flatten)]
    link: LinkArgs,
    /// The negotiation, 64 hexadecimal digits; default that of the folder. Of an empty folder without it, the negotiations that
    /// the own node has are listed
    #[arg(long)]
    negotiation: Option<String>,
}

impl LinkArgs {
    async fn client(&self) -> anyhow::Result<Client> {
        let own = own_domain(&self.certificate)?;
        // The own authority judges nobody here: it is the server that is believed or not.
        let server = (own != self.domain).then(|| (self.domain.clone(), self.ca.clone()));
        let material = TlsMaterial {
            certificate: self.certificate.clone(),
            key: self.certificate.with_extension("sk.pem"),
            own_ca: self.ca.clone(),
            own_trust_domain: own,
            partner_cas: server.into_iter().collect(),
            crls: Vec::new(),
        };
        let tls = Arc::new(material.load()?.client_config(&self.domain)?);
        let channel = connect(&self.to, &self.node, tls).await?;
        Ok(Client::new(channel).max_decoding_message_size(MAX_ANSWER).max_encoding_message_size(MAX_ANSWER))
    }
}

/// Trust domain of the identity that a certificate names.
fn own_domain(path: &Path) -> anyhow::Result<String> {
    let told = || path.display().to_string();
    let leaf = CertificateDer::from_pem_file(path).with_context(told)?;
    Ok(from_certificate(&leaf).with_context(told)?.trust_domain)
}

/// Hands over what the node does not have yet: acts with the files of their drafts, then ratifications.
///
/// # Errors
/// The node's refusal with its stable reason; what came before it is there.
pub(super) fn submit(args: &LinkArgs) -> anyhow::Result<()> {
    let trust = office::trust(&args.trust)?;
    let folder = Folder::begun(&args.dir, &trust)?;
    runtime()?.block_on(async {
        let mut client = args.client().await?;
        let id = hex::encode(folder.negotiation.id());
        let there = match client.get_negotiation(wire::GetNegotiationRequest { negotiation: id.clone() }).await {
            Ok(answer) => acts(&answer.into_inner().acts)?,
            Err(status) if status.code() == Code::NotFound => Vec::new(),
            Err(status) => bail!(told(&status)),
        };
        let held: BTreeSet<Hash> = there.iter().map(|signed| signed.hash).collect();
        let mut files: BTreeSet<Hash> = there.iter().flat_map(named).collect();
        for signed in folder.negotiation.acts().into_iter().filter(|signed| !held.contains(&signed.hash)) {
            hand_over(&mut client, &folder, signed, &files).await?;
            files.extend(named(signed));
        }
        for (party, (_, envelope)) in &folder.ratifications {
            let request = wire::SubmitActRequest {
                envelope: envelope.to_json().into_bytes(),
                files: Vec::new(),
                negotiation: id.clone(),
            };
            let answer = client.submit_act(request).await.map_err(|status| anyhow::anyhow!(told(&status)))?;
            let known = if answer.into_inner().known { "known" } else { "taken" };
            say(format_args!("{known}  ratification by {party}"))?;
        }
        say(format_args!("negotiation {id}"))
    })
}

/// Hands an act over with those files of its draft that no act there names.
async fn hand_over(
    client: &mut Client,
    folder: &Folder,
    signed: &SignedAct,
    there: &BTreeSet<Hash>,
) -> anyhow::Result<()> {
    let held: BTreeMap<Hash, Vec<u8>> = signed.act.deed.draft().map(|lines| folder.files(lines)).unwrap_or_default();
    let files = held.into_iter().filter(|(hash, _)| !there.contains(hash)).map(|(_, bytes)| bytes).collect();
    let envelope = signed.envelope.to_json().into_bytes();
    let request = wire::SubmitActRequest { envelope, files, negotiation: String::new() };
    let answer = client.submit_act(request).await.map_err(|status| anyhow::anyhow!(told(&status)))?.into_inner();
    let known = if answer.known { "known" } else { "taken" };
    let fork = if answer.fork { "  FORK" } else { "" };
    say(format_args!("{known}  step {}  {}  {}{fork}", signed.act.step, signed.act.from, signed.act.deed.name()))
}

/// Takes what the folder does not have yet, after every check.
///
/// # Errors
/// The node's refusal, or what does not verify; what came before it is taken.
pub(super) fn fetch(args: &FetchArgs) -> anyhow::Result<()> {
    let trust = office::trust(&args.link.trust)?;
    let mut folder = Folder::load(&args.link.dir, &trust)?;
    let own = (!folder.negotiation.is_empty()).then(|| hex::encode(folder.negotiation.id()));
    let Some(id) = args.negotiation.clone().or(own) else { return runtime()?.block_on(list(&args.link)) };
    runtime()?.block_on(async {
        let mut client = args.link.client().await?;
        let answer = client.get_negotiation(wire::GetNegotiationRequest { negotiation: id.clone() }).await;
        let found = answer.map_err(|status| anyhow::anyhow!(told(&status)))?.into_inner();
        let taken = take(&mut client, &mut folder, &found, &trust).await?;
        say(format_args!("{taken} new"))
    })?;
    super::status::show(&args.link.dir, &trust)
}

async fn list(args: &LinkArgs) -> anyhow::Result<()> {
    let mut client = args.client().await?;
    let mut page_token = String::new();
    loop {
        let request = wire::ListNegotiationsRequest { page_size: 0, page_token };
        let page =
            client.list_negotiations(request).await.map_err(|status| anyhow::anyhow!(told(&status)))?.into_inner();
        for one in &page.negotiations {
            let (fork, parties) = (if one.fork { "  FORK" } else { "" }, one.parties.join(", "));
            let (id, state, steps) = (&one.negotiation, &one.state, one.steps);
            say(format_args!("{id}  {}  {parties}  {state}  {steps} steps{fork}", one.agreement))?;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

async fn take(
    client: &mut Client,
    folder: &mut Folder,
    found: &wire::Negotiation,
    trust: &TrustFile,
) -> anyhow::Result<usize> {
    let mut taken = 0;
    for signed in acts(&found.acts)? {
        let signed = SignedAct::verify(signed.envelope, &trust.offices);
        let signed = signed.map_err(|refusal| anyhow::anyhow!("{}: {refusal}", refusal.reason()))?;
        if folder.negotiation.act(&signed.hash).is_some() {
            continue;
        }
        let files = missing(client, folder, &found.negotiation, &signed).await?;
        taken += usize::from(folder.take(signed, &files)?);
    }
    for json in &found.ratifications {
        taken += usize::from(folder.take_ratification(Envelope::parse(json)?, trust)?);
    }
    Ok(taken)
}

/// The files of an act's draft that the folder lacks.
async fn missing(
    client: &mut Client,
    folder: &Folder,
    id: &str,
    signed: &SignedAct,
) -> anyhow::Result<BTreeMap<Hash, Vec<u8>>> {
    let mut wanted: Vec<Hash> = named(signed).into_iter().filter(|hash| folder.file(hash).is_none()).collect();
    let mut files = BTreeMap::new();
    while !wanted.is_empty() {
        let sha256s = wanted.iter().map(|hash| hash.to_vec()).collect();
        let request = wire::GetDraftFilesRequest { negotiation: id.to_owned(), sha256: sha256s };
        let answer = client.get_draft_files(request).await.map_err(|status| anyhow::anyhow!(told(&status)))?;
        let before = wanted.len();
        for bytes in answer.into_inner().files {
            let hash = sha256(&bytes);
            wanted.retain(|other| *other != hash);
            files.insert(hash, bytes);
        }
        ensure!(wanted.len() < before, "the node does not give the files that its acts name");
    }
    Ok(files)
}

fn named(signed: &SignedAct) -> BTreeSet<Hash> {
    let lines = signed.act.deed.draft().map(|lines| lines.files.as_slice()).unwrap_or_default();
    lines.iter().map(|line| line.sha256).collect()
}

/// Reads acts by their form alone.
fn acts(jsons: &[Vec<u8>]) -> anyhow::Result<Vec<SignedAct>> {
    let read = |json: &Vec<u8>| {
        let signed = SignedAct::read(Envelope::parse(json)?);
        signed.map_err(|refusal| anyhow::anyhow!("{}: {refusal}", refusal.reason()))
    };
    jsons.iter().map(read).collect()
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")
}

fn told(status: &Status) -> String {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    format!("the node refuses: {reason}: {}", status.message())
}
