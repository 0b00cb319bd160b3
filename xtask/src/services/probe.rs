//! Whether a server answers in its own protocol, and so is ready, not merely listening.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail};

use super::files::random;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Where servers listen. The system hands out no ports below 32768 by itself, so that nobody takes a server's port while
/// it restarts.
const PORTS: std::ops::Range<u16> = 16_384..32_768;

/// A port of the loopback that nothing listens on.
pub(super) fn free_port() -> Result<u16> {
    for _ in 0..64 {
        let port = PORTS.start + u16::from_le_bytes(random()?) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port between {} and {} could be listened on", PORTS.start, PORTS.end)
}

/// PostgreSQL answers a startup message with a request for a password when it is ready, and with an error before.
pub(super) fn postgres(port: u16) -> bool {
    let mut parameters = Vec::new();
    parameters.extend(196_608_u32.to_be_bytes());
    parameters.extend(b"user\0retouch\0database\0postgres\0\0");
    let length = u32::try_from(parameters.len() + 4).unwrap_or(u32::MAX);
    let message = [&length.to_be_bytes()[..], &parameters].concat();
    answer::<1>(port, &message).is_some_and(|[kind]| kind == b'R')
}

/// RabbitMQ answers the protocol header with `connection.start`: class 10, method 10 on channel 0.
pub(super) fn rabbitmq(port: u16) -> bool {
    let frame = answer::<11>(port, b"AMQP\x00\x00\x09\x01");
    frame.is_some_and(|frame| frame[..3] == [1, 0, 0] && frame[7..] == [0, 10, 0, 10])
}

/// Redis wants a password, or answers the ping; while it loads data it says so.
pub(super) fn redis(port: u16) -> bool {
    let head = answer::<5>(port, b"PING\r\n");
    head.is_some_and(|head| &head == b"+PONG" || &head == b"-NOAU")
}

/// The first bytes that come back.
fn answer<const N: usize>(port: u16, message: &[u8]) -> Option<[u8; N]> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.write_all(message).ok()?;
    let mut head = [0; N];
    stream.read_exact(&mut head).ok()?;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers its first client with `bytes`.
    fn server(bytes: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut received = [0; 4];
            stream.read_exact(&mut received).unwrap();
            stream.write_all(bytes).unwrap();
        });
        port
    }

    #[test]
    fn a_server_that_is_not_ready_yet_is_told_from_one_that_is() {
        assert!(postgres(server(b"R\0\0\0\x17\0\0\0\x0a")));
        assert!(!postgres(server(b"E\0\0\0\x5cSFATAL\0C57P03\0")));
        assert!(redis(server(b"-NOAUTH Authentication required.\r\n")));
        assert!(!redis(server(b"-LOADING Redis is loading the dataset in memory\r\n")));
        assert!(rabbitmq(server(b"\x01\0\0\0\0\x01\xf0\0\x0a\0\x0a")));
        assert!(!rabbitmq(server(b"AMQP\0\0\x09\x01\0\0\0")));
    }

    #[test]
    fn nothing_listening_is_not_ready() {
        let port = free_port().unwrap();
        assert!(!postgres(port) && !rabbitmq(port) && !redis(port));
    }
}
