// TargetTable: which subscribers an event goes to, by its type and what the subscriptions' filters find in it. Built once per
// configuration; matching happens for each event, so
// equal answers share one list.
// Thread-safety: any thread after the last add().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/ingest/event.h"
#include "core/ingest/filter.h"
#include "core/ingest/type_table.h"

namespace postern::ingest {

class TargetTable {
 public:
  // A plugin's own handlers, one subscriber together (so that order holds across types): they take events of this provider whose
  // type matches one of the globs, with or without "provider." before it.
  void add_handlers(const std::string& plugin, const std::string& name, std::vector<std::string> globs);
  // A subscription: takes events of any provider whose whole type matches, and that pass the filter.
  void add_subscription(const std::string& plugin, const std::string& name, const std::string& glob, Filter when = {});

  // A type that events of this provider may have, for metrics; those that are added above are known.
  void add_type(const std::string& provider, const std::string& type) { types_.add(provider, type); }
  const TypeTable& types() const { return types_; }
  // After a reload, before the first add.
  void continue_types(const TypeTable& before) { types_.continue_from(before); }

  // By provider, type, headers and body.
  Targets match(const NewEvent& event) const EXCLUDES(mutex_);

 private:
  struct Rule {
    Target target;
    std::vector<std::string> globs;
    bool own;  // handlers: only events of their own plugin
    Filter when;
  };
  bool matches(const Rule& rule, const std::string& provider, const std::string& type) const;

  std::vector<Rule> rules_;
  TypeTable types_;
  mutable Mutex mutex_;
  // By which rules matched: there are few such sets, however many types come in.
  mutable std::map<std::vector<size_t>, Targets> shared_ GUARDED_BY(mutex_);
};

}  // namespace postern::ingest
