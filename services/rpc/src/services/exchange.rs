//! A session between two nodes, from either end of the stream: wire messages in and out of the same [`Message`].

use std::pin::Pin;
use std::sync::Arc;

use convenio_exchange::Core;
use convenio_exchange::recovery::serve::ServeError;
use convenio_exchange::session::{self, Message};
use convenio_wire::exchange::v1::exchange_request::Message as Asked;
use convenio_wire::exchange::v1::exchange_response::Message as Answered;
use convenio_wire::exchange::v1::{
    ExchangeRequest, ExchangeResponse, GetRecoveryRequest, Recovery, RefillRequest, RefillResponse,
};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::{denied, open};
use crate::client::ExchangeServiceClient;
use crate::principals::Standing;
use crate::server::exchange_service_server::ExchangeService;
use crate::status;

/// Largest message of a session, bytes: a batch and its parts.
pub(crate) const MAX_MESSAGE: usize = 8 * 1024 * 1024;

pub(crate) struct Session {
    core: Arc<Core>,
}

impl Session {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl ExchangeService for Session {
    type ExchangeStream = BoxStream<'static, Result<ExchangeResponse, Status>>;
    type RefillStream = BoxStream<'static, Result<RefillResponse, Status>>;

    async fn get_recovery(&self, request: Request<GetRecoveryRequest>) -> Result<Response<Recovery>, Status> {
        let (admitted, request) = open(request)?;
        let node = partner(&admitted.standing)?;
        let given = self.core.recovery_challenge(node, &request.agreement).await;
        given.map(Response::new).map_err(|error| refused(&error))
    }

    async fn refill(&self, request: Request<RefillRequest>) -> Result<Response<Self::RefillStream>, Status> {
        let (admitted, request) = open(request)?;
        let node = partner(&admitted.standing)?;
        let answer = self.core.refill(node, request).await.map_err(|error| refused(&error))?;
        let answer = ReceiverStream::new(answer).map(|said| said.map_err(|error| status::from_store(&error)));
        Ok(Response::new(answer.boxed()))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (admitted, inbound) = open(request)?;
        let node = partner(&admitted.standing)?;
        let (outbound, answers) = mpsc::channel(session::OUTBOUND);
        let inbound = inbound.map(|asked| known(asked?.message.map(from_asked)));
        let (core, partner) = (self.core.clone(), node.to_owned());
        tokio::spawn(async move {
            let end = session::accept(core, partner.clone(), inbound, outbound).await;
            tracing::info!(partner, reason = %end, "session ended");
        });
        Ok(Response::new(ReceiverStream::new(answers).map(|message| Ok(answered(message))).boxed()))
    }
}

fn partner(standing: &Standing) -> Result<&str, Status> {
    match standing {
        Standing::Partner { node } => Ok(node),
        _ => Err(denied("only a partner's node asks this")),
    }
}

fn refused(error: &ServeError) -> Status {
    match error {
        ServeError::UnknownAgreement => status::bad_field("agreement", "is none of yours with this node"),
        ServeError::Roots(_) => status::bad_field("payload", "is not signed by the roots of your party"),
        ServeError::Field(field) => status::bad_field(&format!("payload.{field}"), "is not the expected one"),
        ServeError::Challenge => status::bad_field("payload.challenge", "does not stand: ask for another"),
        ServeError::Store(error) => status::from_store(error),
    }
}

/// Asks a partner for the challenge of a recovery.
///
/// # Errors
/// The other node's refusal.
pub async fn get_recovery(channel: Channel, agreement: &str) -> Result<Recovery, Status> {
    let request = GetRecoveryRequest { agreement: agreement.to_owned() };
    Ok(ExchangeServiceClient::new(channel).get_recovery(request).await?.into_inner())
}

/// Asks a partner for a refill.
///
/// # Errors
/// The other node's refusal.
pub async fn refill(channel: Channel, request: RefillRequest) -> Result<Streaming<RefillResponse>, Status> {
    let mut client = ExchangeServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    Ok(client.refill(request).await?.into_inner())
}

/// A session from the dialling end, for `convenio_exchange::session::dial`.
pub struct Dialled {
    /// What the other node says; ends with the link.
    pub inbound: Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send + Sync>>,
    /// What this node says; closing it ends the session.
    pub outbound: mpsc::Sender<Message>,
}

/// Opens a session over `channel`.
///
/// # Errors
/// The other node's refusal, or `UNAVAILABLE` if it cannot be reached.
pub async fn dial(channel: Channel) -> Result<Dialled, Status> {
    let (outbound, asked) = mpsc::channel(session::OUTBOUND);
    let asked = ReceiverStream::new(asked).map(as_asked);
    let mut client = ExchangeServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let answers = client.exchange(asked).await?.into_inner();
    let inbound = Box::pin(answers.map(|answer| known(answer?.message.map(from_answered))));
    Ok(Dialled { inbound, outbound })
}

fn known(message: Option<Message>) -> Result<Message, Status> {
    message.ok_or_else(|| status::bad_field("message", "must be one that the contract knows"))
}

fn from_asked(message: Asked) -> Message {
    match message {
        Asked::Hello(hello) => Message::Hello(hello),
        Asked::Batch(batch) => Message::Batch(batch),
        Asked::Cosigned(cosigned) => Message::Cosigned(cosigned),
        Asked::Stop(stop) => Message::Stop(stop),
    }
}

fn from_answered(message: Answered) -> Message {
    match message {
        Answered::Hello(hello) => Message::Hello(hello),
        Answered::Batch(batch) => Message::Batch(batch),
        Answered::Cosigned(cosigned) => Message::Cosigned(cosigned),
        Answered::Stop(stop) => Message::Stop(stop),
    }
}

fn as_asked(message: Message) -> ExchangeRequest {
    let message = match message {
        Message::Hello(hello) => Asked::Hello(hello),
        Message::Batch(batch) => Asked::Batch(batch),
        Message::Cosigned(cosigned) => Asked::Cosigned(cosigned),
        Message::Stop(stop) => Asked::Stop(stop),
    };
    ExchangeRequest { message: Some(message) }
}

fn answered(message: Message) -> ExchangeResponse {
    let message = match message {
        Message::Hello(hello) => Answered::Hello(hello),
        Message::Batch(batch) => Answered::Batch(batch),
        Message::Cosigned(cosigned) => Answered::Cosigned(cosigned),
        Message::Stop(stop) => Answered::Stop(stop),
    };
    ExchangeResponse { message: Some(message) }
}
