//! What lapin's errors mean to callers.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use retouch_ports::{PortError, PortErrorKind};

/// The error of a port for a failed call of the broker.
pub(crate) fn failed(what: impl Into<String>, error: lapin::Error) -> PortError {
    let kind = kind(&error);
    let advice = match kind {
        PortErrorKind::Unauthorized => {
            ": check user, password, virtual host and permissions in the URL of the queue"
        }
        PortErrorKind::NotFound => ": there is no such queue; declare its pool first",
        PortErrorKind::Incompatible => {
            ": the queue exists with other settings; delete it or use another prefix for the queues"
        }
        PortErrorKind::Unavailable => ": the broker is not reached",
        _ => "",
    };
    PortError::new(kind, format!("{} failed{advice}", what.into())).with_source(error)
}

fn kind(error: &lapin::Error) -> PortErrorKind {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => PortErrorKind::NotFound,
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => PortErrorKind::Unauthorized,
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::RESOURCELOCKED) => {
                PortErrorKind::Incompatible
            }
            AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) => PortErrorKind::Unavailable,
            _ => PortErrorKind::Internal,
        },
        ErrorKind::AuthProviderError(_) => PortErrorKind::Unauthorized,
        ErrorKind::InvalidProtocolVersion(_) => PortErrorKind::Incompatible,
        ErrorKind::ChannelsLimitReached => PortErrorKind::Full,
        ErrorKind::IOError(_)
        | ErrorKind::InvalidChannel(_)
        | ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidConnectionState(_)
        | ErrorKind::MissingHeartbeatError => PortErrorKind::Unavailable,
        _ => PortErrorKind::Internal,
    }
}

/// Whether the channel or connection that the call used is gone, and with it everything that was bound to it.
pub(crate) fn is_gone(error: &lapin::Error) -> bool {
    kind(error) == PortErrorKind::Unavailable || error.is_amqp_error()
}
