//! A client without generated code.

use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::client::{Client, Credential};

/// Calls by the names of methods: for tests that walk the descriptor.
pub struct RawClient {
    channel: Channel,
    credential: Credential,
}

impl RawClient {
    /// Presents what a client presents, on a channel.
    pub fn new(channel: Channel, client: &Client) -> Self {
        Self { channel, credential: client.credential.clone() }
    }

    /// Calls a unary method with an empty message.
    pub async fn call_empty(&self, method: &str) -> Result<Vec<u8>, Status> {
        self.call(method, Vec::new()).await
    }

    /// Calls a unary method with the bytes of a message.
    pub async fn call(&self, method: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        let service = InterceptedService::new(self.channel.clone(), self.credential.clone());
        let mut grpc = tonic::client::Grpc::new(service);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = method.parse().expect("a method's path");
        let response = grpc.unary(Request::new(message), path, BytesCodec).await?;
        Ok(response.into_inner())
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct BytesCodec;

impl tonic::codec::Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl tonic::codec::Decoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length).to_vec()))
    }
}
