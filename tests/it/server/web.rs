//! gRPC-web and CORS, as a browser speaks them. `tests/web/run` shows the same with a real one.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::Server;

const ORIGIN: &str = "https://portal.example";

/// Sends bytes by HTTP/1.1; returns the head in lower case and the body.
async fn send(server: &Server, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let head = format!("{head}host: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    // A server that does not speak HTTP/1 may hang up before it has read everything.
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    (head, answer.get(end + 4..).unwrap_or_default().to_vec())
}

fn preflight(origin: &str) -> String {
    format!(
        "OPTIONS /peerage.v1.AccountAccessService/Authorize HTTP/1.1\r\norigin: {origin}\r\n\
         access-control-request-method: POST\r\n\
         access-control-request-headers: authorization,content-type,x-grpc-web,grpc-timeout\r\n"
    )
}

#[tokio::test]
async fn pages_of_listed_origins_may_call_and_others_may_not() {
    let server = Server::start_with(|config| config.web.allowed_origins = vec![ORIGIN.to_owned()]).await;
    let (head, _) = send(&server, &preflight(ORIGIN), b"").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains(&format!("access-control-allow-origin: {ORIGIN}\r\n")), "{head}");
    for part in ["authorization", "x-grpc-web", "grpc-timeout", "access-control-allow-methods: post"] {
        assert!(head.contains(part), "{part}: {head}");
    }
    assert!(!head.contains("credentials") && !head.contains("origin: *"), "{head}");
    let (head, _) = send(&server, &preflight("https://elsewhere.example"), b"").await;
    assert!(!head.contains("access-control-allow-origin"), "{head}");

    // A call without a credential: its status stands in headers that a page may read.
    let call = format!(
        "POST /peerage.v1.AccountAccessService/Authorize HTTP/1.1\r\norigin: {ORIGIN}\r\n\
         content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n"
    );
    let (head, body) = send(&server, &call, &[0; 5]).await;
    let said = format!("{head}{}", String::from_utf8_lossy(&body));
    assert!(said.contains("grpc-status: 16") || said.contains("grpc-status:16"), "{said}");
    assert!(head.contains("access-control-expose-headers: grpc-status,grpc-message,grpc-status-details-bin"), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn without_a_list_there_is_no_web() {
    let server = Server::start().await;
    let (head, _) = send(&server, &preflight(ORIGIN), b"").await;
    assert!(!head.contains("access-control"), "HTTP/1 is not spoken at all: {head}");
    server.stop().await;
}
