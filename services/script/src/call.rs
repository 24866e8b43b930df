//! Any RPC of the registry by its name, through dynamic messages.

use std::collections::HashMap;

use convenio_agreement::Pack;
use convenio_wire::DESCRIPTORS;
use convenio_wire::node::v1::{ListExchangesRequest, ListExchangesResponse};
use convenio_wire::registry::v1::{GetPlacementRequest, Placement};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use tonic::client::Grpc;
use tonic::codec::Codec;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::codec::Dynamic;
use crate::state::Refused;

/// The package whose services a script calls.
const PACKAGE: &str = "convenio.registry.v1";
const GET_PLACEMENT: &str = "/convenio.registry.v1.PlacementService/GetPlacement";
const LIST_EXCHANGES: &str = "/convenio.node.v1.NodeService/ListExchanges";
/// Every call names why it is made.
const PURPOSE: (&str, &str) = ("convenio-purpose", "placement");
/// Field of a request that makes a repeated call the same call.
const REQUEST_ID: &str = "request_id";

/// Where the nodes are while a script is played.
pub trait Nodes: Send + Sync {
    /// A connection to the node of a party, as that state's integration system.
    ///
    /// # Errors
    /// There is no such node, or none yet.
    fn channel(&self, party: &str) -> Result<Channel, Status>;
}

/// The messages of the contract and of the agreements that scripts are played under.
#[derive(Clone)]
pub struct Stage {
    pool: DescriptorPool,
    methods: HashMap<String, MethodDescriptor>,
    agreements: HashMap<String, Vec<String>>,
}

/// The messages of two agreements do not fit together.
#[derive(Debug, thiserror::Error)]
#[error("the messages of {agreement} do not fit the contract: {source}")]
pub struct StageError {
    agreement: String,
    source: prost_reflect::DescriptorError,
}

impl Stage {
    /// A stage for these agreements.
    ///
    /// # Errors
    /// Their messages contradict each other or the contract.
    pub fn new(packs: &[Pack]) -> Result<Self, StageError> {
        let failed = |agreement: &str| {
            let agreement = agreement.to_owned();
            move |source| StageError { agreement, source }
        };
        let mut pool = DescriptorPool::decode(DESCRIPTORS).map_err(failed("the core"))?;
        for pack in packs {
            let files = pack.pool().file_descriptor_protos();
            let new: Vec<_> = files.filter(|file| pool.get_file_by_name(file.name()).is_none()).cloned().collect();
            pool.add_file_descriptor_protos(new).map_err(failed(pack.id()))?;
        }
        let services = pool.services().filter(|service| service.parent_file().package_name() == PACKAGE);
        let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        let unary = methods.filter(|method| !method.is_client_streaming() && !method.is_server_streaming());
        let methods = unary.map(|method| (method.name().to_owned(), method)).collect();
        let parties = |pack: &Pack| pack.parties().iter().map(|party| party.id.clone()).collect();
        let corridors: Vec<Pack> = packs.iter().flat_map(Pack::corridors).collect();
        let all = packs.iter().chain(&corridors);
        let agreements = all.map(|pack| (pack.id().to_owned(), parties(pack))).collect();
        Ok(Self { pool, methods, agreements })
    }

    /// Parties of an agreement of this stage.
    #[must_use]
    pub fn parties(&self, agreement: &str) -> Option<&[String]> {
        self.agreements.get(agreement).map(Vec::as_slice)
    }

    /// Whether the registry has an RPC of this name.
    #[must_use]
    pub fn has(&self, method: &str) -> bool {
        self.methods.contains_key(method)
    }

    /// The request of an RPC from its proto JSON; `request_id` is used where the RPC has one and the JSON gives none.
    ///
    /// # Errors
    /// What does not fit the request's message.
    pub fn request(&self, method: &str, body: &Value, request_id: &str) -> Result<DynamicMessage, String> {
        let descriptor = self.methods.get(method).ok_or_else(|| format!("the registry has no RPC {method}"))?.input();
        let mut request = DynamicMessage::deserialize(descriptor.clone(), body).map_err(|error| error.to_string())?;
        if let Some(field) = descriptor.get_field_by_name(REQUEST_ID)
            && !request.has_field(&field)
        {
            request.set_field(&field, prost_reflect::Value::String(request_id.to_owned()));
        }
        Ok(request)
    }

    /// Calls an RPC once.
    ///
    /// # Errors
    /// The node's answer.
    pub async fn call(
        &self,
        channel: Channel,
        method: &str,
        request: DynamicMessage,
    ) -> Result<DynamicMessage, Status> {
        let found = self.methods.get(method).ok_or_else(|| Status::unimplemented(method))?;
        let path = format!("/{}/{}", found.parent_service().full_name(), found.name());
        unary(channel, &path, request, Dynamic(found.output())).await
    }

    /// Descriptors of everything that may be named in a script.
    #[must_use]
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }
}

/// Reads a placement.
pub async fn placement(channel: Channel, name: &str) -> Result<Placement, Status> {
    let request = GetPlacementRequest { name: name.to_owned() };
    unary(channel, GET_PLACEMENT, request, ProstCodec::default()).await
}

/// Reads how far the exchanges of a node are.
pub async fn exchanges(channel: Channel) -> Result<ListExchangesResponse, Status> {
    unary(channel, LIST_EXCHANGES, ListExchangesRequest {}, ProstCodec::default()).await
}

async fn unary<Q, R, C>(channel: Channel, path: &str, message: Q, codec: C) -> Result<R, Status>
where
    Q: Send + Sync + 'static,
    R: Send + Sync + 'static,
    C: Codec<Encode = Q, Decode = R> + Send + 'static,
{
    let path: PathAndQuery = path.parse().map_err(|_| Status::internal("not a path"))?;
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(message);
    request.metadata_mut().insert(PURPOSE.0, MetadataValue::from_static(PURPOSE.1));
    Ok(client.unary(request, path, codec).await?.into_inner())
}

/// Whether the same call may succeed later: the node is away, or waits for its partner.
#[must_use]
pub fn passes(status: &Status) -> bool {
    let reason = status.get_details_error_info().map(|info| info.reason);
    match (status.code(), reason.as_deref()) {
        (Code::Unavailable, _) | (Code::Aborted, Some("UNDECIDED")) => true,
        // A connection that breaks in the middle of a call shows in several ways, never with a reason.
        (Code::Unknown | Code::Cancelled | Code::Internal | Code::ResourceExhausted, None) => true,
        _ => false,
    }
}

/// How a call was refused.
pub fn refused(status: &Status) -> Refused {
    let info = status.get_details_error_info();
    let text = |key: &str| info.as_ref().and_then(|info| info.metadata.get(key).cloned()).unwrap_or_default();
    let fields = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    Refused {
        gate: text("gate"),
        clause: text("clause"),
        fact: text("fact"),
        fields: fields.into_iter().map(|violation| violation.field).collect(),
        reason: info.map(|info| info.reason).unwrap_or_default(),
    }
}
