//! Privilege groups and their members.

use super::{Call, Planner, mask, unread};
use crate::cli::apply::world::Group;
use crate::transport::grpc::pb;

impl Planner<'_> {
    pub(super) fn group(&mut self, group: &Group) {
        self.needs_account(group.line, &group.key.account);
        let what = format!("group {}", group.key.show());
        if let Some(why) = unread(&self.state.unread.groups, &group.key.account) {
            group.members.iter().for_each(|member| self.needs_peer(member.peer.line, &member.peer.value));
            self.unknown(group.line, what, why);
            return;
        }
        let there = self.state.groups.get(&group.key.folded());
        match there {
            None => {
                let wanted = pb::Group {
                    account: format!("accounts/{}", group.key.account),
                    title: group.key.title.clone(),
                    description: group.description.clone().unwrap_or_default(),
                    ..Default::default()
                };
                self.create(what, String::new(), Call::CreateGroup(group.key.clone(), wanted));
            }
            Some((there, _)) => {
                let before = self.mark();
                let description = group.description.as_ref();
                if let Some(description) = description.filter(|description| **description != there.description) {
                    let wanted = pb::Group {
                        name: there.name.clone(),
                        description: description.clone(),
                        etag: there.etag.clone(),
                        ..Default::default()
                    };
                    let update_mask = mask(&["description"]);
                    let request = pb::UpdateGroupRequest { group: Some(wanted), update_mask, ..Default::default() };
                    self.update(what, "description".to_owned(), Call::UpdateGroup(Box::new(request)));
                }
                self.settle(before);
            }
        }
        self.members(group, there.map_or(&[], |(_, members)| members.as_slice()));
    }

    fn members(&mut self, group: &Group, there: &[pb::GroupMember]) {
        for member in &group.members {
            let user_name = member.peer.value.as_str();
            self.needs_peer(member.peer.line, &member.peer.value);
            let uid = self.state.peers.get(&member.peer.value.key()).map(|peer| peer.name.as_str());
            let wanted = pb::GroupMember {
                peer: format!("peers/@{user_name}"),
                mode: member.mode.into(),
                start_time: member.start,
                expire_time: member.expire,
                ..Default::default()
            };
            match there.iter().find(|one| Some(one.peer.as_str()) == uid) {
                None => {
                    let what = format!("member {user_name} of group {}", group.key.show());
                    let detail = if member.mode == pb::BindingMode::Eligible { "ELIGIBLE" } else { "" };
                    self.create(what, detail.to_owned(), Call::AddMember(group.key.clone(), wanted));
                }
                Some(one) => {
                    let is_same = one.mode() == member.mode
                        && (member.start.is_none() || one.start_time == member.start)
                        && (member.expire.is_none() || one.expire_time == member.expire);
                    if is_same {
                        self.plan.unchanged += 1;
                    } else {
                        let text = format!(
                            "`{user_name}` is a member of `{}` with another mode or window, which never change; \
                             remove the member first",
                            group.key.show()
                        );
                        self.problems.add(member.peer.line, text);
                    }
                }
            }
        }
    }
}
