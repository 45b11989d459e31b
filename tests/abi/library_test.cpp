// What is no plugin, or one of another kind: refused with a clear word before any function of it runs.
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/abi/support.h"

namespace postern::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct ModuleCase {
  const char* module;
  const char* fault;  // whole
};

constexpr const char* kMalformed = "its postern_entry is malformed; build it with this gateway's SDK";
constexpr const char* kIncomplete = "its postern_entry is incomplete; build it with this gateway's SDK";

const ModuleCase kModules[] = {
    {"good", "loaded"},
    {"older", "loaded"},
    {"newer", "loaded"},
    {"no_entry", "has no symbol postern_entry; it is no Postern plugin"},
    {"major_99",
     "was built for version 99 of the plugin ABI, this gateway has version 1; install the plugin's build for this gateway"},
    {"major_0",
     "was built for version 0 of the plugin ABI, this gateway has version 1; install the plugin's build for this gateway"},
    {"size_0", kIncomplete},
    {"size_small", kIncomplete},
    {"size_huge_no_create", kIncomplete},
    {"long_id", kMalformed},
    {"null_id", kMalformed},
    {"empty_id", kMalformed},
    {"long_version", kMalformed},
    {"long_build_id", kMalformed},
    {"many_requires", kMalformed},
    {"null_requires", kMalformed},
    {"unreadable_requires", kMalformed},
    {"missing_extension",
     "needs the extension postern.crystal_ball/7, which this gateway does not have; install a newer gateway"},
};

class BadModule : public ::testing::TestWithParam<ModuleCase> {};

TEST_P(BadModule, IsRefusedWithItsReason) { EXPECT_EQ(load_fault(module_path(GetParam().module)), GetParam().fault); }

INSTANTIATE_TEST_SUITE_P(Library, BadModule, ::testing::ValuesIn(kModules),
                         [](const auto& info) { return std::string(info.param.module); });

// A second look must find what the first one found, though the code of the first is still mapped.
TEST(Library, IsRefusedAgainWhenLoadedAgain) {
  for (const char* module : {"major_99", "missing_extension", "no_entry"}) {
    std::string first = load_fault(module_path(module));
    EXPECT_EQ(load_fault(module_path(module)), first);
  }
}

TEST(Library, TellsTheSymbolThatNobodyHas) {
  EXPECT_THAT(load_fault(module_path("undefined_symbol")), AllOf(StartsWith("cannot be loaded: "), HasSubstr("nobody_has_this")));
}

TEST(Library, TellsTheLibraryThatIsNotInstalled) {
  EXPECT_THAT(load_fault(module_path("missing_library")), AllOf(StartsWith("cannot be loaded: "), HasSubstr("libnot-installed.so.1")));
}

TEST(Library, RefusesSymbolsThatPluginsWouldShare) {
#if defined(__clang__)
  GTEST_SKIP() << "clang makes no unique symbols";
#endif
  EXPECT_THAT(load_fault(module_path("unique")),
              AllOf(StartsWith("has the unique symbol "), HasSubstr("Shared"),
                    HasSubstr(", which plugins would share; build it with postern_add_plugin() (-fno-gnu-unique)")));
}

// Files that are no library at all, or a damaged one: made here from the good one.
class BadFile : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/postern-abi-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    std::ifstream in(module_path("good"), std::ios::binary);
    good_.assign(std::istreambuf_iterator<char>(in), {});
    ASSERT_GT(good_.size(), sizeof(Elf64_Ehdr));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string fault_of(const std::string& bytes) {
    std::string file = path("bad" + std::to_string(++files_) + ".so");
    std::ofstream(file, std::ios::binary) << bytes;
    return load_fault(file);
  }
  std::string fault_with_header(const std::function<void(Elf64_Ehdr&)>& change) {
    Elf64_Ehdr header;
    std::memcpy(&header, good_.data(), sizeof header);
    change(header);
    std::string bytes = good_;
    std::memcpy(bytes.data(), &header, sizeof header);
    return fault_of(bytes);
  }

  std::string folder_, good_;
  int files_ = 0;
};

constexpr const char* kDamaged = "is not a shared library for this machine, or is damaged";

TEST_F(BadFile, IsMissing) { EXPECT_EQ(load_fault(path("absent.so")), "no such file; is the plugin installed?"); }

TEST_F(BadFile, HasNoName) { EXPECT_THAT(load_fault(""), HasSubstr("no such file")); }

TEST_F(BadFile, IsEmpty) { EXPECT_EQ(fault_of(""), kDamaged); }

TEST_F(BadFile, IsAFolder) { EXPECT_EQ(load_fault(folder_), "is a folder"); }

TEST_F(BadFile, IsAPipeThatNobodyWritesTo) {
  ASSERT_EQ(::mkfifo(path("pipe.so").c_str(), 0600), 0);
  EXPECT_EQ(load_fault(path("pipe.so")), "is not a regular file");
}

TEST_F(BadFile, IsALinkToNothing) {
  ASSERT_EQ(::symlink("nowhere", path("link.so").c_str()), 0);
  EXPECT_EQ(load_fault(path("link.so")), "no such file; is the plugin installed?");
}

TEST_F(BadFile, MayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  std::ofstream(path("locked.so")) << good_;
  ASSERT_EQ(::chmod(path("locked.so").c_str(), 0), 0);
  EXPECT_EQ(load_fault(path("locked.so")), "cannot be read: Permission denied");
}

TEST_F(BadFile, IsText) {
  EXPECT_EQ(fault_of("#!/bin/sh\necho I am no library\n"), kDamaged);
  EXPECT_EQ(fault_of("\x7f" "ELF"), kDamaged);
  EXPECT_EQ(fault_of("INPUT(libc.so.6)\n" + std::string(200, ' ')), kDamaged);
}

// A download that broke off, or a disk that was full. At no length may the host run into the missing bytes (SIGBUS).
TEST_F(BadFile, IsCutOff) {
  for (size_t size = 1; size < good_.size(); size += 1 + good_.size() / 150) EXPECT_EQ(fault_of(good_.substr(0, size)), kDamaged) << size;
  EXPECT_EQ(fault_of(good_.substr(0, good_.size() - 1)), kDamaged);
  EXPECT_EQ(fault_of(good_), "loaded");
}

TEST_F(BadFile, IsForAnotherKindOfMachine) {
  EXPECT_EQ(fault_with_header([](auto& h) { h.e_ident[EI_CLASS] = ELFCLASS32; }), kDamaged);
  EXPECT_EQ(fault_with_header([](auto& h) { h.e_type = ET_EXEC; }), kDamaged);
  EXPECT_EQ(fault_with_header([](auto& h) { h.e_type = ET_REL; }), kDamaged);
  for (const std::string& fault : {fault_with_header([](auto& h) { h.e_machine = EM_AARCH64; }),
                                   fault_with_header([](auto& h) { h.e_ident[EI_DATA] = ELFDATA2MSB; })}) {
    EXPECT_THAT(fault, ::testing::AnyOf(kDamaged, StartsWith("cannot be loaded: ")));
  }
}

TEST_F(BadFile, HasAHeaderThatLies) {
  EXPECT_EQ(fault_with_header([](auto& h) { h.e_shoff = UINT64_MAX - 8; }), kDamaged);
  EXPECT_EQ(fault_with_header([](auto& h) { h.e_shoff = 1u << 31; }), kDamaged);
  EXPECT_EQ(fault_with_header([](auto& h) { h.e_shnum = 0; }), kDamaged);
  EXPECT_EQ(fault_with_header([](auto& h) { h.e_shentsize = 1; }), kDamaged);
}

// A table of symbols that points out of the file: refused, whatever the bytes there are taken for.
TEST_F(BadFile, HasSectionsThatLie) {
  Elf64_Ehdr header;
  std::memcpy(&header, good_.data(), sizeof header);
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    for (uint64_t lie : {uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 16}) {
      for (auto field : {&Elf64_Shdr::sh_offset, &Elf64_Shdr::sh_size}) {
        Elf64_Shdr section;
        std::string bytes = good_;
        std::memcpy(&section, good_.data() + header.e_shoff + i * sizeof section, sizeof section);
        if (section.sh_type != SHT_DYNSYM) continue;
        section.*field = lie;
        std::memcpy(bytes.data() + header.e_shoff + i * sizeof section, &section, sizeof section);
        EXPECT_NE(fault_of(bytes), "loaded") << i;
      }
    }
  }
}

TEST(Library, TellsWhoItIs) {
  auto library = plugin::Library::load(module_path("good"), extension::has_extension);
  ASSERT_TRUE(library);
  EXPECT_EQ(library->id(), "module");
  EXPECT_EQ(library->version(), "1.2.3");
  EXPECT_EQ(library->build_id(), "test");
  EXPECT_EQ(library->path(), module_path("good"));
}

TEST(Library, OfANewerGenerationLosesOnlyWhatIsNotKnown) {
  auto library = plugin::Library::load(module_path("newer"), extension::has_extension);
  ASSERT_TRUE(library);
  EXPECT_GT(library->entry().struct_size, sizeof(postern_plugin_entry));
  EXPECT_EQ(library->version(), "1.2.3");
}

}  // namespace
}  // namespace postern::testing
