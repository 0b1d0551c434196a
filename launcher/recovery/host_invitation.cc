#include "core/error.h"
#include "launcher/recovery/host_watch.h"

namespace longship {

Bytes encode(const HostInvitation& invitation) {
  ByteWriter writer;
  writer.put(invitation.port);
  writer.put(invitation.question);
  writer.put(invitation.answer);
  writer.put_span(std::span<const HostAddress>(invitation.addresses));
  return writer.take();
}

HostInvitation decode_invitation(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  HostInvitation invitation;
  invitation.port = reader.get<uint16_t>();
  invitation.question = reader.get<JobToken>();
  invitation.answer = reader.get<JobToken>();
  invitation.addresses = reader.get_vector<HostAddress>();
  return invitation;
}

}  // namespace longship
