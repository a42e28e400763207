//! Bare HTTP/2, for what no gRPC client does: requests that do not end, and deadlines that the server
//! alone counts.

use bytes::Bytes;
use h2::client::SendRequest;
use prost::Message;

use super::Server;

/// A connection to the server.
pub async fn connect(server: &Server) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

/// The head of a call, such as of `/peerage.v1.PeerService/GetPeer`.
pub fn head(server: &Server, key: &str, method: &str) -> http::request::Builder {
    http::Request::post(format!("http://{}{method}", server.address()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {key}"))
}

/// A message as gRPC frames it.
pub fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame.into()
}
