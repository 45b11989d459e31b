// postern completion bash|zsh|fish: made from the commands themselves, so that it is always true.
#include <algorithm>
#include <functional>
#include <iostream>
#include <sstream>

#include "core/cli/command.h"

namespace postern::cli {
namespace {

// "'" ends a quoted word of the shell: '\'' is one inside.
std::string quote(std::string_view text) {
  std::string out = "'";
  for (char c : text) c == '\'' ? void(out += "'\\''") : out.push_back(c);
  return out + "'";
}

std::string first_line(std::string text) {
  text.resize(std::min(text.size(), text.find('\n')));
  return text;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) { return app.get_subcommands([](const CLI::App*) { return true; }); }

struct Flag {
  std::string name;  // "--json", "-c"
  std::string description;
  bool takes_value;
};

// Those of its own and, as they may stand anywhere, of the commands above it.
std::vector<Flag> flags_of(const CLI::App& app) {
  std::vector<Flag> flags;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options([](const CLI::Option* o) { return !o->get_positional(); })) {
      bool takes_value = option->get_items_expected_max() > 0;
      auto add = [&](const std::string& name) {
        if (std::none_of(flags.begin(), flags.end(), [&](const Flag& f) { return f.name == name; })) {
          flags.push_back({name, first_line(option->get_description()), takes_value});
        }
      };
      for (const std::string& name : option->get_lnames()) add("--" + name);
      for (const std::string& name : option->get_snames()) add("-" + name);
    }
  }
  return flags;
}

// Each command with the words that lead to it: "postern events list".
void walk(const CLI::App& app, const std::string& path, const std::function<void(const CLI::App&, const std::string&)>& visit) {
  visit(app, path);
  for (const CLI::App* command : commands_of(app)) walk(*command, path + " " + command->get_name(), visit);
}

// After an option with a value comes a file: -c and --request take one, and the others do no harm by it.
void print_bash(const CLI::App& app, std::ostream& out) {
  out << "# bash completion for postern: source it, or put it into /usr/share/bash-completion/completions/postern\n"
         "_postern() {\n"
         "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\" at=postern word commands flags valued\n"
         "  local i=1\n"
         "  while :; do\n"
         "    case \"$at\" in\n";
  walk(app, "postern", [&out](const CLI::App& command, const std::string& path) {
    std::string commands, flags, valued;
    for (const CLI::App* c : commands_of(command)) commands += c->get_name() + " ";
    for (const Flag& flag : flags_of(command)) (flag.takes_value ? valued : flags) += flag.name + " ";
    out << "      " << quote(path) << ") commands=" << quote(commands) << " flags=" << quote(flags + valued) << " valued="
        << quote(valued) << " ;;\n";
  });
  out << "    esac\n"
         "    (( i < COMP_CWORD )) || break\n"
         "    word=\"${COMP_WORDS[i++]}\"\n"
         "    [[ \" $valued\" == *\" $word \"* ]] && { (( i++ )); continue; }\n"
         "    [[ \" $commands\" == *\" $word \"* ]] && at+=\" $word\"\n"
         "  done\n"
         "  if [[ \" $valued\" == *\" $prev \"* ]]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
         "  elif [[ $cur == -* ]]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$cur\")\n"
         "  else\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\")\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _postern postern\n";
}

std::string zsh_spec(const std::string& name, const std::string& description) {
  std::string escaped;
  for (char c : description) c == ':' || c == '\\' ? void((escaped += '\\') += c) : escaped.push_back(c);
  return quote(name + ":" + escaped);
}

void print_zsh(const CLI::App& app, std::ostream& out) {
  out << "#compdef postern\n"
         "# zsh completion for postern: put it as _postern into a folder of $fpath\n"
         "_postern() {\n"
         "  local at=postern word i=2\n"
         "  local -a commands flags valued\n"
         "  while true; do\n"
         "    case \"$at\" in\n";
  walk(app, "postern", [&out](const CLI::App& command, const std::string& path) {
    std::string commands, flags, valued;
    for (const CLI::App* c : commands_of(command)) commands += " " + zsh_spec(c->get_name(), first_line(c->get_description()));
    for (const Flag& flag : flags_of(command)) {
      flags += " " + zsh_spec(flag.name, flag.description);
      if (flag.takes_value) valued += " " + flag.name;
    }
    out << "      " << quote(path) << ") commands=(" << commands << " ); flags=(" << flags << " ); valued=(" << valued << " ) ;;\n";
  });
  out << "    esac\n"
         "    (( i < CURRENT )) || break\n"
         "    word=\"${words[i++]}\"\n"
         "    if (( ${valued[(Ie)$word]} )); then (( i++ )); continue; fi\n"
         "    (( ${commands[(I)$word:*]} )) && at+=\" $word\"\n"
         "  done\n"
         "  if (( ${valued[(Ie)${words[CURRENT-1]}]} )); then _files\n"
         "  elif [[ ${words[CURRENT]} == -* ]]; then _describe option flags\n"
         "  else _describe command commands\n"
         "  fi\n"
         "}\n"
         "if [[ $funcstack[1] == _postern ]]; then _postern \"$@\"; else compdef _postern postern; fi\n";
}

// True while the words so far lead to this command and no further.
std::string fish_condition(const CLI::App& command, const std::string& path) {
  std::string condition;
  std::istringstream words(path.substr(path.find(' ') == std::string::npos ? path.size() : path.find(' ') + 1));
  for (std::string word; words >> word;) condition += "__fish_seen_subcommand_from " + word + "; and ";
  std::string further;
  for (const CLI::App* c : commands_of(command)) further += " " + c->get_name();
  return condition + (further.empty() ? "true" : "not __fish_seen_subcommand_from" + further);
}

void print_fish(const CLI::App& app, std::ostream& out) {
  out << "# fish completion for postern: put it as postern.fish into ~/.config/fish/completions\n"
         "complete -c postern -f\n";
  walk(app, "postern", [&out](const CLI::App& command, const std::string& path) {
    std::string begin = "complete -c postern -n " + quote(fish_condition(command, path));
    for (const CLI::App* c : commands_of(command)) {
      out << begin << " -a " << c->get_name() << " -d " << quote(first_line(c->get_description())) << '\n';
    }
    for (const Flag& flag : flags_of(command)) {
      bool is_long = flag.name.starts_with("--");
      out << begin << (is_long ? " -l " : " -s ") << flag.name.substr(is_long ? 2 : 1) << (flag.takes_value ? " -r -F" : "") << " -d "
          << quote(flag.description) << '\n';
    }
  });
}

}  // namespace

void add_completion(CLI::App& app) {
  auto* command = app.add_subcommand("completion", "Print what completes commands and options in your shell");
  command->footer("Packages install it already. Example, for the shell at hand:\n  source <(postern completion bash)");
  command->require_subcommand(1);
  auto shell = [&app, command](const char* name, void (*print)(const CLI::App&, std::ostream&)) {
    command->add_subcommand(name, std::string("For ") + name)->callback([&app, print] { print(app, std::cout); });
  };
  shell("bash", print_bash);
  shell("zsh", print_zsh);
  shell("fish", print_fish);
}

}  // namespace postern::cli
