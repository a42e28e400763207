//! Generated messages, clients and servers, alone in here with the lints that generated code breaks.

#![expect(clippy::all, clippy::allow_attributes_without_reason, reason = "the code generator writes as it does")]

tonic::include_proto!("peerage.v1");

/// Every message and service as a `FileDescriptorSet`, for reflection and for tests of the contract.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.binpb"));

/// The methods by which obligations are met, in full.
pub const REQUEST_APPROVAL: &str = "/peerage.v1.ApprovalService/RequestApproval";
pub const REQUEST_ELEVATION: &str = "/peerage.v1.ElevationService/RequestElevation";

/// Shows of a message with a secret its name alone.
macro_rules! redacted {
    ($($message:ident),*) => {$(
        impl ::core::fmt::Debug for $message {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                formatter.write_str(concat!(stringify!($message), "(<redacted>)"))
            }
        }
    )*};
}
redacted!(CreatePeerRequest, SetPasswordRequest, GeneratePasswordResponse);
