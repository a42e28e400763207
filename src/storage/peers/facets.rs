//! Everything about a peer that has few values, in one number: two bits each for status, kind and second
//! factor, one each for mail format, external login and a Microsoft account.
//!
//! INVARIANT: what a bit means never changes; the migration that made the column wrote some already.

use sea_orm::sea_query::{Expr, ExprTrait as _};

use crate::domain::peer::{MailFormat, Peer, PeerKind, PeerStatus, TwoFactor};

/// Some of the bits, and what they are to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facet {
    mask: i64,
    value: i64,
}

pub(super) const EXTERNAL_LOGIN: Facet = Facet { mask: 128, value: 128 };
pub(super) const MICROSOFT_ACCOUNT: Facet = Facet { mask: 256, value: 256 };

pub(super) const fn status(status: PeerStatus) -> Facet {
    let value = match status {
        PeerStatus::Enabled => 0,
        PeerStatus::Disabled => 1,
        PeerStatus::Deleted => 2,
    };
    Facet { mask: 3, value }
}

pub(super) const fn kind(kind: PeerKind) -> Facet {
    let value = match kind {
        PeerKind::Person => 0,
        PeerKind::Device => 4,
        PeerKind::Integration => 8,
    };
    Facet { mask: 12, value }
}

pub(super) const fn two_factor(two_factor: TwoFactor) -> Facet {
    let value = match two_factor {
        TwoFactor::None => 0,
        TwoFactor::Email => 16,
        TwoFactor::Totp => 32,
    };
    Facet { mask: 48, value }
}

pub(super) const fn mail_format(format: MailFormat) -> Facet {
    let value = match format {
        MailFormat::Html => 0,
        MailFormat::PlainText => 64,
    };
    Facet { mask: 64, value }
}

/// The facets of a peer, as far as its row tells.
pub(super) const fn of(peer: &Peer) -> i64 {
    let profile = &peer.profile;
    let external = if profile.require_external_login { EXTERNAL_LOGIN.value } else { 0 };
    status(peer.status).value
        | kind(peer.kind).value
        | two_factor(profile.two_factor).value
        | mail_format(profile.mail_format).value
        | external
}

impl Facet {
    /// Whether a row has it.
    pub(super) fn tested(self) -> Expr {
        Expr::col("facets").bit_and(self.mask).eq(self.value)
    }

    /// The facets of a row with this one changed. The bits are those of no sign, so that what is left
    /// of a number without some is the number less those.
    pub(super) fn set(self) -> Expr {
        Expr::col("facets").sub(Expr::col("facets").bit_and(self.mask)).add(self.value)
    }
}

/// The facets of a row that becomes this peer: those that no peer tells stay.
pub(super) fn become_peer(peer: &Peer) -> Expr {
    Expr::col("facets").bit_and(MICROSOFT_ACCOUNT.mask).add(of(peer))
}
