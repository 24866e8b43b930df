//! What ministries sign before a node may start: offices sign off, roots ratify and authorise, a trust file names them.

use std::fs;

use anyhow::Context;
use convenio_agreement::Pack;

use super::setup::{Layout, StateDir, convenio};

/// The sign-offs, ratifications, authorisations and the trust file of both states.
///
/// # Errors
/// What a step said.
pub fn by_both(layout: &Layout, pack: &Pack) -> anyhow::Result<()> {
    let (origin, destination) = (&layout.origin, &layout.destination);
    for own in [origin, destination] {
        office_keys(own, pack)?;
    }
    write_trust(layout, pack)?;
    for (own, partner) in [(origin, destination), (destination, origin)] {
        sign_offs(layout, own, pack)?;
        ratify(layout, own, partner, pack)?;
        authorise(own, partner, pack)?;
    }
    Ok(())
}

/// Offices of a state that sign off, as the agreement lists them.
fn offices(own: &StateDir, pack: &Pack) -> Vec<String> {
    pack.ratification_rule(&own.state.id).sign_off.map(|rule| rule.offices).unwrap_or_default()
}

fn office_keys(own: &StateDir, pack: &Pack) -> anyhow::Result<()> {
    for office in offices(own, pack) {
        convenio(|command| {
            command.args(["agreement", "office-key", "--party", &own.state.id, "--office", &office, "--dir"]);
            command.arg(&own.offices)
        })?;
    }
    Ok(())
}

fn write_trust(layout: &Layout, pack: &Pack) -> anyhow::Result<()> {
    let agreement = format!("{}={}", pack.id(), hex::encode(pack.digest()));
    convenio(|command| {
        command.args(["trust", "--agreement", &agreement]);
        for own in [&layout.origin, &layout.destination] {
            let node = format!("{}={}", own.state.id, own.state.node);
            command.arg("--root").arg(&own.roots).arg("--node").arg(node);
            for office in offices(own, pack) {
                command.arg("--office").arg(own.offices.join(format!("{office}.office")));
            }
        }
        command.arg("--out").arg(layout.trust())
    })
}

/// Every office agrees, knowing what is missing from the policy basis.
fn sign_offs(layout: &Layout, own: &StateDir, pack: &Pack) -> anyhow::Result<()> {
    let folder = own.offices.join("signed");
    let offices = offices(own, pack);
    if !offices.is_empty() {
        fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    }
    for office in offices {
        convenio(|command| {
            command.args(["agreement", "sign-off", "--id", pack.id(), "--agreements"]).arg(&layout.agreements);
            command.arg("--key").arg(own.offices.join(format!("{office}.sk.pem")));
            acknowledge(command, pack).arg("--out").arg(folder.join(format!("{office}.dsse.json")))
        })?;
    }
    Ok(())
}

/// Own root: ratifies the agreement for both nodes to read.
fn ratify(layout: &Layout, own: &StateDir, partner: &StateDir, pack: &Pack) -> anyhow::Result<()> {
    let file = format!("{}.{}.dsse.json", pack.id(), own.state.id);
    let ratification = own.dir.join("trust/ratifications").join(&file);
    convenio(|command| {
        command.args(["agreement", "sign", "--root"]).arg(&own.roots).arg("--agreements").arg(&layout.agreements);
        command.args(["--id", pack.id(), "--node", &own.state.node]);
        if !offices(own, pack).is_empty() {
            command.arg("--sign-offs").arg(own.offices.join("signed")).arg("--trust").arg(layout.trust());
        }
        acknowledge(command, pack).arg("--out").arg(&ratification)
    })?;
    let copy = partner.dir.join("trust/ratifications").join(&file);
    fs::copy(&ratification, &copy).with_context(|| format!("{}: cannot be written", copy.display()))?;
    Ok(())
}

/// Own root: authorises the own node's log.
fn authorise(own: &StateDir, partner: &StateDir, pack: &Pack) -> anyhow::Result<()> {
    let epoch = own.dir.join("trust/epochs").join(format!("{}.1.dsse.json", pack.id()));
    convenio(|command| {
        command.args(["root", "open-epoch", "--root"]).arg(&own.roots);
        command.arg("--manifest").arg(own.dir.join("keys/manifest.binpb"));
        command.args(["--agreement", pack.id(), "--recipient", &partner.state.node, "--epoch", "1"]);
        command.arg("--out").arg(epoch)
    })
}

fn acknowledge<'c>(command: &'c mut std::process::Command, pack: &Pack) -> &'c mut std::process::Command {
    for item in pack.missing_basis() {
        command.args(["--acknowledge", &item]);
    }
    command
}
