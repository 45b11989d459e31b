#include "core/base/trusted_path.h"
#include "core/config/document.h"
#include "core/config/file.h"
#include "core/config/sections.h"

namespace postern::config {

namespace {

void read_root(Context& context, const Node& node, Config& config) {
  const Mark top{1, 1};
  Section root(context, node, top, "");
  if (const Member* gateway = root.find("gateway")) {
    Section section(context, *gateway->value, gateway->mark, "gateway");
    read_gateway(section, config);
  } else if (node.kind == Kind::kMapping) {
    context.faults.add(top, "gateway.listen is missing");
  }
  root.section("admin", [&](Section& section) { read_admin(section, config); });
  root.section("store", [&](Section& section) { read_store(section, config); });
  root.section("dispatch", [&](Section& section) { read_dispatch(section, config); });
  root.section("dedupe", [&](Section& section) { read_dedupe(section, config.dedupe_window); });
  root.section("health", [&](Section& section) { read_health(section, config); });
  root.text("plugin_dir", config.plugin_dir);
  read_plugins(root, config);
  read_subscriptions(root, config);
}

}  // namespace

Loaded load_config(const std::string& path) {
  Loaded loaded;
  loaded.config.file = path;
  const Result<std::string> text = read_file(path, kMaxFileBytes);
  if (!text) {
    loaded.faults.push_back({{1, 1}, "the file " + text.status().message()});
    return loaded;
  }
  Context context;
  if (const Status trusted = check_trusted(path); !trusted) context.faults.add({1, 1}, trusted.message());
  if (const NodePtr root = parse_document(*text, context.faults)) read_root(context, *root, loaded.config);
  loaded.faults = context.faults.take();
  return loaded;
}

}  // namespace postern::config
