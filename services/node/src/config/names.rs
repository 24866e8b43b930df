//! Names, addresses and lists of the configuration, each checked for its form.

use std::collections::HashSet;
use std::net::SocketAddr;

use convenio_model::Identity;
use convenio_seal::name::{is_agreement, is_node, is_party};
use tracing::Level;

use super::ConfigError;
use super::file::{NodeFile, PartnerFile, PostFile};
use super::source::Source;

/// Most agreements or partners of a node.
const MAX_AGREEMENTS: usize = 64;
/// Most consular posts.
const MAX_POSTS: usize = 500;
/// Most areas of one post: no country has more first-level subdivisions by far.
const MAX_DISTRICTS: usize = 256;

pub(super) fn check(source: &Source, file: &NodeFile) -> Result<(), ConfigError> {
    let name = |key: &str, fits: bool, form: &str| if fits { Ok(()) } else { Err(source.error(key, form)) };
    name("node", is_node(&file.node), "must be a lower-case host name of at most 128 bytes")?;
    name("party", is_party(&file.party), "must be 2 to 8 lower-case letters")?;
    name("trust_domain", is_node(&file.trust_domain), "must be a lower-case domain name")?;
    let count = file.agreements.len();
    name("agreements", (1..=MAX_AGREEMENTS).contains(&count), "must name 1 to 64 agreements")?;
    let mut seen = HashSet::new();
    for (at, id) in file.agreements.iter().enumerate() {
        let key = format!("agreements[{at}]");
        name(&key, is_agreement(id), "must be 2 to 64 lower-case letters, digits or dashes")?;
        name(&key, seen.insert(id), "is named twice")?;
    }
    partners(source, file)?;
    posts(source, file)
}

pub(super) fn listen(source: &Source, text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| source.error("listen", "must be an IP address with a port, e.g. 0.0.0.0:4443"))
}

pub(super) fn level(source: &Source, text: Option<&str>) -> Result<Level, ConfigError> {
    match text.unwrap_or("info") {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err(source.error("log.level", "must be one of error, warn, info, debug, trace")),
    }
}

fn partners(source: &Source, file: &NodeFile) -> Result<(), ConfigError> {
    if file.partners.len() > MAX_AGREEMENTS {
        return Err(source.error("partners", format!("more than {MAX_AGREEMENTS}")));
    }
    for (at, partner) in file.partners.iter().enumerate() {
        let refuse = |field: &str, problem: &str| Err(source.error(&format!("partners[{at}].{field}"), problem));
        let earlier = &file.partners[..at];
        let taken = |of: fn(&PartnerFile) -> &String, own: &String| {
            of(partner) == own || earlier.iter().any(|other| of(other) == of(partner))
        };
        if !is_party(&partner.party) {
            return refuse("party", "must be 2 to 8 lower-case letters");
        }
        if !is_node(&partner.node) {
            return refuse("node", "must be a lower-case host name of at most 128 bytes");
        }
        if !is_node(&partner.trust_domain) {
            return refuse("trust_domain", "must be a lower-case domain name");
        }
        if taken(|p| &p.party, &file.party) {
            return refuse("party", "is that of another node here");
        }
        if taken(|p| &p.node, &file.node) {
            return refuse("node", "is that of another node here");
        }
        if taken(|p| &p.trust_domain, &file.trust_domain) {
            return refuse("trust_domain", "is that of another node here");
        }
        if partner.address.as_deref().is_some_and(|address| !is_address(address)) {
            return refuse("address", "must be host:port, e.g. node.ca.example:4443");
        }
    }
    Ok(())
}

/// `host:port`, `ip:port` or `[ip6]:port`, with a port that can be dialled.
fn is_address(text: &str) -> bool {
    let host = |host: &str| is_node(&host.to_ascii_lowercase());
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match text.parse::<SocketAddr>() {
        Ok(address) => address.port() > 0,
        Err(_) => text.rsplit_once(':').is_some_and(|(h, p)| host(h) && port(p)),
    }
}

fn posts(source: &Source, file: &NodeFile) -> Result<(), ConfigError> {
    if file.posts.len() > MAX_POSTS {
        return Err(source.error("posts", format!("more than {MAX_POSTS}")));
    }
    for (at, post) in file.posts.iter().enumerate() {
        // The table of principals knows a post by its name alone.
        if file.posts[..at].iter().any(|other| other.post == post.post) {
            return Err(source.error(&format!("posts[{at}].post"), "stands in an earlier entry too"));
        }
        check_post(source, file, at, post)?;
    }
    Ok(())
}

fn check_post(source: &Source, file: &NodeFile, at: usize, post: &PostFile) -> Result<(), ConfigError> {
    let refuse = |field: &str, problem: &str| Err(source.error(&format!("posts[{at}].{field}"), problem));
    // What no certificate can name would never match a caller.
    let segment =
        |text: &str| format!("spiffe://x/consulate/{text}").parse::<Identity>().is_ok_and(|id| id.post.is_none());
    if !segment(&post.organisation) {
        return refuse("organisation", "must be 1 to 63 lower-case letters, digits, dots or dashes");
    }
    if !segment(&post.post) {
        return refuse("post", "must be 1 to 63 lower-case letters, digits, dots or dashes");
    }
    if !(1..=MAX_DISTRICTS).contains(&post.districts.len()) {
        return refuse("districts", "must name 1 to 256 areas");
    }
    if let Some(bad) = post.districts.iter().position(|district| !is_district(district)) {
        return refuse(&format!("districts[{bad}]"), "must be an ISO 3166-2 code, e.g. CA-ON");
    }
    if post.agreements.is_empty() {
        return refuse("agreements", "must name at least one agreement");
    }
    if let Some(bad) = post.agreements.iter().position(|id| !file.agreements.contains(id)) {
        return refuse(&format!("agreements[{bad}]"), "is none of this node's agreements");
    }
    Ok(())
}

/// ISO 3166-2 §5.2: country, hyphen, one to three letters or digits.
fn is_district(code: &str) -> bool {
    let upper = |b: u8| b.is_ascii_uppercase();
    code.split_once('-').is_some_and(|(country, area)| {
        country.len() == 2
            && country.bytes().all(upper)
            && (1..=3).contains(&area.len())
            && area.bytes().all(|b| upper(b) || b.is_ascii_digit())
    })
}
