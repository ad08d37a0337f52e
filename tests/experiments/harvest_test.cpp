#include "experiments/harvest/harvest.h"

#include <numeric>

#include "engine/files/activation_store.h"
#include "engine/files/npy.h"
#include "engine/files/safetensors.h"
#include "experiments/harvest/import_matrix.h"
#include "models/language_model/gguf.h"
#include "tests/models/reference_llama.h"
#include "tests/support/devices.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using testing::GgufWriter;
using testing::ReferenceLlama;

constexpr int64_t length = 8;
constexpr int32_t end_of_text = 0;

/// A tiny model with the letters a to o, "ab", and the end-of-text token.
template <class Base>
class WithModel : public Base {
 protected:
  WithModel() {
    GgufWriter file = reference_.write(9);
    file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "smollm");
    std::vector<std::string> vocabulary = {"<|endoftext|>"};
    for (char letter = 'a'; letter < 'p'; ++letter) vocabulary.emplace_back(1, letter);
    vocabulary.emplace_back("ab");
    file.texts("tokenizer.ggml.tokens", vocabulary).texts("tokenizer.ggml.merges", {"a b"});
    model_ = std::make_unique<LanguageModel>(
        LanguageModel::load(folder_.write("tiny.Q4_1.gguf", file.bytes()), this->device_, Precision::f32));
    options_.context_length = length;
    options_.batch_contexts = 3;
    options_.places = {{1, Site::resid_mid}};
  }

  std::unique_ptr<ContextSource> letters(int64_t documents, int64_t each) {
    std::vector<Document> texts;
    for (int64_t i = 0; i < documents; ++i) {
      std::string text;
      for (int64_t j = 0; j < each; ++j) text += static_cast<char>('a' + (i * 5 + j * j) % 15);
      texts.push_back({i % 2 == 0 ? "even" : "odd", text});
    }
    return text_contexts(std::move(texts), model_->tokenizer(), length);
  }
  StoreDescription description() const {
    StoreDescription store;
    store.model = model_->title();
    store.width = model_->sizes().width;
    store.context_length = length;
    return store;
  }
  std::unique_ptr<RowSink> sink(const std::string& name, IfStoreExists if_exists = IfStoreExists::refuse) {
    return open_sink(folder_.path(name), description(), if_exists, "layer = 1\n");
  }
  std::vector<float> all_rows(const ActivationStore& store) {
    std::vector<int64_t> rows(static_cast<size_t>(store.rows()));
    std::iota(rows.begin(), rows.end(), 0);
    const Tensor gathered = store.gather(rows, this->device_);
    return gathered.to_vector<float>();
  }

  TemporaryFolder folder_;
  ReferenceLlama reference_;
  std::unique_ptr<LanguageModel> model_;
  HarvestOptions options_;
};
class Harvest : public WithModel<testing::CpuTest> {};
class HarvestOnDevices : public WithModel<testing::DeviceTest> {};
INSTANTIATE_TEST_SUITE_P(Devices, HarvestOnDevices, testing::every_device, testing::device_name);

TEST_F(Harvest, DocumentsAreJoinedWithTheSeparator) {
  const auto source = text_contexts({{"x", "cde"}, {"y", "fg"}, {"z", "hijklmno"}}, model_->tokenizer(), 4);
  ContextBatch batch = source->next(2);
  EXPECT_THAT(batch.ids, ElementsAre(3, 4, 5, end_of_text, 6, 7, end_of_text, 8));
  EXPECT_THAT(batch.documents, ElementsAre(0, 0, 0, 0, 1, 1, 1, 2));
  batch = source->next(5);  // 8 letters and a separator: two more whole contexts
  EXPECT_THAT(batch.ids, ElementsAre(9, 10, 11, 12, 13, 14, 15, end_of_text));
  EXPECT_TRUE(source->next(1).ids.empty());
  EXPECT_EQ(source->source_of(2), "z");
}

TEST_F(Harvest, EveryContextMayStartWithTheBeginningToken) {
  GgufWriter file;
  file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "smollm");
  file.texts("tokenizer.ggml.tokens", {"<|endoftext|>", "<s>", "c", "d", "e", "f", "g", "cc"});
  file.texts("tokenizer.ggml.merges", {"c c"}).integer("tokenizer.ggml.bos_token_id", 1);
  Tokenizer tokenizer{GgufFile(folder_.write("tokenizer.gguf", file.bytes()))};
  EXPECT_FALSE(tokenizer.adds_beginning());
  const ContextBatch batch = text_contexts({{"x", "cde"}, {"y", "fg"}}, tokenizer, 4, true)->next(5);
  EXPECT_THAT(batch.ids, ElementsAre(1, 2, 3, 4, 1, end_of_text, 5, 6));
  EXPECT_THAT(batch.documents, ElementsAre(0, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_REFUSED(text_contexts({{"x", "cde"}}, tokenizer, 1, true), "no room for text");
  EXPECT_REFUSED(text_contexts({{"x", "cde"}}, model_->tokenizer(), 4, true), "names no beginning-of-text token");
}

TEST_F(Harvest, HowManyAreAskedForAtOnceDoesNotMatter) {
  const auto one = letters(7, 30), many = letters(7, 30);
  const ContextBatch all = many->next(1000);
  std::vector<int32_t> ids;
  while (true) {
    const ContextBatch batch = one->next(1);
    if (batch.ids.empty()) break;
    ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
  }
  EXPECT_EQ(ids, all.ids);
}

TEST_P(HarvestOnDevices, RowsAreWhatTheModelSees) {
  const auto source = letters(3, 40);
  const auto out = sink("store");
  const HarvestResult result = harvest(*model_, *source, options_, {out.get()});
  EXPECT_FALSE(result.interrupted);
  out->finish();
  const ActivationStore store(folder_.path("store"));
  const ContextBatch expected = letters(3, 40)->next(1000);
  ASSERT_EQ(store.rows(), static_cast<int64_t>(expected.ids.size()));
  EXPECT_EQ(result.contexts, expected.contexts(length));
  const std::vector<float> rows = all_rows(store);
  const auto width = static_cast<size_t>(store.width());
  for (size_t i = 0; i < expected.ids.size(); ++i) {
    EXPECT_EQ(store.token_ids()[i], expected.ids[i]);
    EXPECT_EQ(store.positions()[i], i % length);
    EXPECT_EQ(store.documents()[i], expected.documents[i]);
  }
  for (size_t first = 0; first < expected.ids.size(); first += length) {
    const std::vector<int32_t> context(expected.ids.begin() + static_cast<std::ptrdiff_t>(first),
                                       expected.ids.begin() + static_cast<std::ptrdiff_t>(first) + length);
    const auto reference = reference_.forward(context).resid_mid[1];
    for (size_t t = 0; t < length; ++t) {
      for (size_t j = 0; j < width; ++j) {
        ASSERT_NEAR(rows[(first + t) * width + j], reference[t][j], 2e-5) << first << " " << t << " " << j;
      }
    }
  }
  EXPECT_EQ(folder_.read("store/harvest.conf"), "layer = 1\n");
}

TEST_F(Harvest, AShorterRunGoesOnToTheSameRows) {
  const auto whole = sink("whole");
  harvest(*model_, *letters(5, 50), options_, {whole.get()});
  whole->finish();
  const ActivationStore expected(folder_.path("whole"));

  options_.contexts = 4;
  const auto first = sink("parts");
  EXPECT_EQ(harvest(*model_, *letters(5, 50), options_, {first.get()}).contexts, 4);
  first->finish();
  options_.contexts = 9;
  const auto second = sink("parts", IfStoreExists::resume);
  EXPECT_EQ(harvest(*model_, *letters(5, 50), options_, {second.get()}).tokens_made, 5 * length);
  second->finish();
  options_.contexts = 0;
  const auto third = sink("parts", IfStoreExists::resume);
  EXPECT_TRUE(harvest(*model_, *letters(5, 50), options_, {third.get()}).source_ended);
  third->finish();
  const ActivationStore parts(folder_.path("parts"));
  EXPECT_EQ(all_rows(parts), all_rows(expected));
  EXPECT_TRUE(std::equal(parts.token_ids().begin(), parts.token_ids().end(), expected.token_ids().begin()));

  const auto nothing = sink("parts", IfStoreExists::resume);
  options_.contexts = 5;
  EXPECT_EQ(harvest(*model_, *letters(5, 50), options_, {nothing.get()}).tokens_made, 0);
}

TEST_F(Harvest, SeveralPlacesShareTheOrderOfTheirRows) {
  options_.places = {{1, Site::resid_mid}, {0, Site::mlp_hidden}, {0, Site::resid_post}};
  const auto wide = [&](const std::string& name, size_t place, IfStoreExists if_exists) {
    StoreDescription store = description();
    store.width = model_->width_of(options_.places[place].site);
    return open_sink(folder_.path(name), store, if_exists, "");
  };
  const auto names = [](const std::string& run, size_t place) { return run + std::to_string(place); };
  const auto run = [&](const std::string& name, IfStoreExists if_exists) {
    std::vector<std::unique_ptr<RowSink>> sinks;
    std::vector<RowSink*> all;
    for (size_t i = 0; i < options_.places.size(); ++i) {
      sinks.push_back(wide(names(name, i), i, if_exists));
      all.push_back(sinks.back().get());
    }
    harvest(*model_, *letters(5, 50), options_, all);
    for (const auto& sink : sinks) sink->finish();
  };
  run("whole", IfStoreExists::refuse);
  const std::vector<SitePlace> places = options_.places;
  for (size_t i = 0; i < places.size(); ++i) {
    options_.places = {places[i]};
    const auto alone = wide(names("alone", i), 0, IfStoreExists::refuse);
    harvest(*model_, *letters(5, 50), options_, {alone.get()});
    alone->finish();
    const ActivationStore one(folder_.path(names("alone", i))), of_several(folder_.path(names("whole", i)));
    EXPECT_EQ(one.width(), i == 1 ? 96 : 64);
    EXPECT_EQ(all_rows(of_several), all_rows(one)) << i;
  }
  // a run that was cut off had stored more of one place than of the others
  for (size_t i = 0; i < places.size(); ++i) {
    options_.places = {places[i]};
    options_.contexts = i == 1 ? 7 : 4;
    const auto part = wide(names("parts", i), 0, IfStoreExists::refuse);
    harvest(*model_, *letters(5, 50), options_, {part.get()});
    part->finish();
  }
  options_.places = places;
  options_.contexts = 0;
  run("parts", IfStoreExists::resume);
  for (size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(all_rows(ActivationStore(folder_.path(names("parts", i)))),
              all_rows(ActivationStore(folder_.path(names("whole", i)))));
  }
  EXPECT_REFUSED(harvest(*model_, *letters(5, 50), options_, {}), "0 outputs for 3 places");
}

TEST_F(Harvest, TokenIdsAndAFirstContext) {
  const std::vector<uint16_t> ids = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 8, 7, 6, 5, 4, 3, 2, 1};
  write_npy(folder_.path("ids.npy"), Tensor::from(device_, {3, 8}, ids), IfExists::refuse);
  const auto source = token_id_contexts(folder_.path("ids.npy"), length, 17);
  EXPECT_EQ(source->total(), 3);
  options_.first_context = 1;
  const auto out = sink("ids.safetensors");
  EXPECT_EQ(harvest(*model_, *source, options_, {out.get()}).contexts, 2);
  out->finish();
  const SafetensorsFile file(folder_.path("ids.safetensors"));
  EXPECT_EQ(file.read(device_, "token_ids").to_vector<uint16_t>(), std::vector<uint16_t>(ids.begin() + 8, ids.end()));
  EXPECT_EQ(file.read(device_, "positions").to_vector<uint16_t>()[9], 1);
  EXPECT_EQ(file.read(device_, "documents").to_vector<int32_t>()[0], 1);
  EXPECT_EQ(file.read(device_, "activations").describe(), "f32 [16, 64]");
  EXPECT_EQ(file.metadata("model"), "tiny, Q4_1 dequantised");
  EXPECT_EQ(file.metadata("options"), "layer = 1\n");
  write_npy(folder_.path("wide.npy"), Tensor::from(device_, {3, 8}, std::vector<int32_t>(ids.begin(), ids.end())),
            IfExists::refuse);
  EXPECT_EQ(token_id_contexts(folder_.path("wide.npy"), length, 17)->next(3).ids,
            std::vector<int32_t>(ids.begin(), ids.end()));
  EXPECT_REFUSED(sink("ids.safetensors"), "exists already");
  EXPECT_REFUSED(token_id_contexts(folder_.path("ids.npy"), 7, 17),
                 "expected token ids u16 or i32 [contexts, 7], got u16 [3, 8]");
  EXPECT_REFUSED(token_id_contexts(folder_.path("ids.npy"), 8, 16),
                 "token 16 at position 7 of context 1; the model has 16");
}

TEST_F(Harvest, LossBySource) {
  const LossReport report = report_loss(*model_, *letters(4, 31), options_, 16);
  // 4 documents of 32 tokens with their separator (some letters merge): whole contexts, seven predictions in each
  const ContextBatch batch = letters(4, 31)->next(16);
  EXPECT_EQ(report.all.tokens, batch.contexts(length) * (length - 1));
  double sum = 0;
  int64_t even = 0;
  for (size_t first = 0; first < batch.ids.size(); first += length) {
    const std::vector<int32_t> context(batch.ids.begin() + static_cast<std::ptrdiff_t>(first),
                                       batch.ids.begin() + static_cast<std::ptrdiff_t>(first) + length);
    const auto logits = reference_.forward(context).logits;
    for (size_t t = 0; t + 1 < length; ++t) {
      double total = 0;
      for (const double logit : logits[t]) total += std::exp(logit);
      sum += std::log(total) - logits[t][static_cast<size_t>(context[t + 1])];
      even += batch.documents[first + t + 1] % 2 == 0 ? 1 : 0;
    }
  }
  EXPECT_NEAR(report.all.sum, sum, 1e-3);
  EXPECT_EQ(report.by_source.at("even").tokens, even);
  EXPECT_EQ(report.by_source.at("odd").tokens, report.all.tokens - even);
}

TEST_F(Harvest, ReadsDocuments) {
  folder_.write("train.jsonl",
                "{\"source\": \"a\", \"id\": \"1\", \"text\": \"one\"}\n{\"source\": \"b\", \"text\": \"\"}\n"
                "{\"text\": \"two\"}\n");
  const auto lines = read_documents(folder_.path("train.jsonl"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].source, "a");
  EXPECT_EQ(lines[1].text, "two");
  EXPECT_REFUSED(read_documents(folder_.path("")), "name one split of it");
  TemporaryFolder texts;
  texts.write("b.txt", "second");
  texts.write("a.md", "first");
  texts.write("c.png", "no text");
  const auto files = read_documents(texts.path(""));
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].text, "first");
  EXPECT_EQ(read_documents(texts.path("b.txt"))[0].text, "second");

  TemporaryFolder none;
  EXPECT_REFUSED(read_documents(none.path("")), "has no .txt or .md files");
  EXPECT_REFUSED(read_documents(none.path("x.txt")), "does not exist");
  EXPECT_REFUSED(read_documents(none.write("bad.jsonl", "{\"text\": 3}\n")), "bad.jsonl:1");
  EXPECT_REFUSED(read_documents(none.write("cut.jsonl", "{\"text\": \"x\"}\n{\"te")), "the last line is cut off");
  EXPECT_REFUSED(read_documents(none.write("empty.jsonl", "{\"text\": \"\"}\n")), "holds no text");
  EXPECT_REFUSED(text_contexts({{"x", "cde"}}, model_->tokenizer(), 8),
                 "the text has 4 tokens, which fill no context of 8");
}

TEST_F(Harvest, ImportsMatrices) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const Tensor matrix = f32({3, 2}, values);
  write_npy(folder_.path("m.npy"), matrix.to(Dtype::f64), IfExists::refuse);
  const ImportedMatrix npy(folder_.path("m.npy"), "", device_);
  EXPECT_EQ(npy.width(), 2);
  EXPECT_EQ(npy.read(1, 3).to_vector<float>(), (std::vector<float>{3, 4, 5, 6}));
  write_safetensors(folder_.path("m.safetensors"), {{"a", matrix}, {"ids", i32({3}, {1, 2, 3})}}, {}, IfExists::refuse);
  EXPECT_EQ(ImportedMatrix(folder_.path("m.safetensors"), "", device_).read(0, 1).to_vector<float>(),
            (std::vector<float>{1, 2}));
  write_safetensors(folder_.path("two.safetensors"), {{"a", matrix}, {"b", matrix}}, {}, IfExists::refuse);
  EXPECT_REFUSED(ImportedMatrix(folder_.path("two.safetensors"), "", device_), "name one with --tensor");
  EXPECT_EQ(ImportedMatrix(folder_.path("two.safetensors"), "b", device_).rows(), 3);
  EXPECT_REFUSED(ImportedMatrix(folder_.path("two.safetensors"), "c", device_), "'c'");
  write_npy(folder_.path("ids.npy"), i32({3, 2}, {1, 2, 3, 4, 5, 6}), IfExists::refuse);
  EXPECT_REFUSED(ImportedMatrix(folder_.path("ids.npy"), "", device_), "expected floats, got i32");
  write_npy(folder_.path("line.npy"), f32({3}, {1, 2, 3}), IfExists::refuse);
  EXPECT_REFUSED(ImportedMatrix(folder_.path("line.npy"), "", device_), "expected a matrix [rows, width], got [3]");
  EXPECT_REFUSED(ImportedMatrix(folder_.path("m.csv"), "", device_), "expected a .npy or .safetensors file");
}

TEST_F(Harvest, NanIsRefused) {
  StoreDescription store = description();
  store.width = 2;
  const std::vector<float> rows = {1, 2, 3, std::nanf("")};
  for (const char* name : {"nan", "nan.safetensors"}) {
    const auto out = open_sink(folder_.path(name), store, IfStoreExists::refuse, "");
    EXPECT_REFUSED(out->append(rows, {}, {}, {}), "row 1 holds NaN or infinity");
    EXPECT_REFUSED(out->finish(), "no rows were given to store");
  }
}

}  // namespace
}  // namespace sae
