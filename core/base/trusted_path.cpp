#include "core/base/trusted_path.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <vector>

namespace postern {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = 64 * 1024;  // of an entry of the user or group database

std::string name_of(uid_t user) {
  passwd entry{}, *found = nullptr;
  std::vector<char> buffer(kMostBytes);
  bool known = ::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
  return known ? std::string(entry.pw_name) : "user " + std::to_string(user);
}

// A group of the owner's alone.
bool is_private_group(gid_t group, uid_t owner) {
  if (group == 0) return true;
  ::group entry{}, *found = nullptr;
  std::vector<char> buffer(kMostBytes);
  if (::getgrgid_r(group, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return false;
  const std::string owner_name = name_of(owner);
  if (entry.gr_name != owner_name) return false;
  for (char** member = entry.gr_mem; *member != nullptr; ++member) {
    if (*member != owner_name) return false;
  }
  return true;
}

Status check_one(const fs::path& path, bool is_folder) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return Status::ok();
  if (!is_folder && !S_ISREG(info.st_mode)) return Status::ok();
  const char* what = is_folder ? "the folder " : "";
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
    return {Code::kDenied, what + path.string() + " belongs to " + name_of(info.st_uid) +
                               ", who could change what the gateway does: chown root " + path.string()};
  }
  if (is_folder && (info.st_mode & S_ISVTX) != 0) return Status::ok();
  if ((info.st_mode & S_IWOTH) != 0) {
    return {Code::kDenied, what + path.string() + " can be changed by everybody: chmod o-w " + path.string()};
  }
  if ((info.st_mode & S_IWGRP) != 0 && !is_private_group(info.st_gid, info.st_uid)) {
    return {Code::kDenied, what + path.string() + " can be changed by its group: chmod g-w " + path.string()};
  }
  return Status::ok();
}

Status check_link(const fs::path& link, const struct stat& info) {
  if (info.st_uid == 0 || info.st_uid == ::geteuid()) return Status::ok();
  return {Code::kDenied, "the link " + link.string() + " belongs to " + name_of(info.st_uid) +
                             ", who could let it lead elsewhere: chown -h root " + link.string()};
}

// As the kernel goes: folder by folder, and on from where a link leads.
Status walk(const fs::path& path, int links_left) {
  if (links_left == 0) return {Code::kDenied, path.string() + " is reached by too many symbolic links"};
  fs::path at = "/";
  const fs::path parts = path.relative_path();
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    if (Status s = check_one(at, true); !s) return s;
    if (*part == "." || part->empty()) continue;
    if (*part == "..") {
      at = at.parent_path();
      continue;
    }
    const fs::path next = at / *part;
    struct stat info {};
    if (::lstat(next.c_str(), &info) != 0) return Status::ok();
    if (!S_ISLNK(info.st_mode)) {
      at = next;
      continue;
    }
    if (Status s = check_link(next, info); !s) return s;
    std::error_code error;
    fs::path onward = at / fs::read_symlink(next, error);  // an absolute one stands for itself
    if (error) return Status::ok();
    for (auto rest = std::next(part); rest != parts.end(); ++rest) onward /= *rest;
    return walk(onward, links_left - 1);
  }
  return check_one(at, false);
}

}  // namespace

Status check_trusted(const std::string& path) {
  constexpr int kMostLinks = 40;  // as Linux has it
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  return error ? Status::ok() : walk(absolute, kMostLinks);
}

}  // namespace postern
