import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Does with the client what lines of JSON ask for, and writes a line of JSON for each. */
public final class Driver {
    private UniSemClient client;
    private UniSemClient.Space space;

    public static void main(String[] arguments) throws Exception {
        Driver driver = new Driver();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, Object> command = map(UniSemClient.Json.read(line.getBytes(StandardCharsets.UTF_8)));
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                answer.put("result", driver.done(command));
            } catch (UniSemClient.UniSemException error) {
                answer.put("failed", error.getMessage());
                answer.put("status", error.status());
                answer.put("detail", error.detail());
                answer.put("field", error.field());
                answer.put("remedy", error.remedy());
                answer.put("cause", error.getCause() == null ? null : error.getCause().getClass().getSimpleName());
            } catch (IllegalArgumentException | NullPointerException error) {
                answer.put("refused", String.valueOf(error.getMessage()));
            }
            out.println(UniSemClient.Json.write(answer));
        }
    }

    private Object done(Map<String, Object> command) throws Exception {
        switch (text(command, "do")) {
            case "connect":
                connect(command);
                return null;
            case "json":
                return json(Base64.getDecoder().decode(text(command, "bytes")));
            case "spaces":
                return client.spaces().stream().map(entry -> List.of(
                        entry.name(), entry.records(), entry.encoder(), entry.writable())).toList();
            case "search":
                return hits(space.search(query(map(command.get("query")))));
            case "search_all":
                return space.searchAll(list(command.get("queries")).stream().map(each -> query(map(each))).toList())
                        .stream().map(Driver::hits).toList();
            case "search_often":
                return searchOften(command);
            case "search_interrupted":
                return searchInterrupted();
            case "add":
                return space.add(list(command.get("records")).stream().map(each -> record(map(each))).toList());
            case "get":
                return space.get(text(command, "id")).map(Driver::plain).orElse(null);
            case "page":
                UniSemClient.Page page = space.page(((Long) command.get("limit")).intValue(),
                        (String) command.get("cursor"), filter(command.get("filter")));
                List<Object> records = new ArrayList<>(page.records().stream().map(Driver::plain).toList());
                return List.of(records, page.cursor() == null ? "" : page.cursor());
            case "records":
                List<Object> ids = new ArrayList<>();
                for (UniSemClient.StoredRecord each : space.records(filter(command.get("filter")))) {
                    ids.add(each.id());
                }
                return ids;
            case "delete_ids":
                return space.deleteIds(strings(command.get("ids")));
            case "delete_sources":
                return space.deleteSources(strings(command.get("ids")));
            case "delete_where":
                return space.deleteWhere(filter(command.get("filter")));
            case "update":
                return plain(space.updateMetadata(text(command, "id"), map(command.get("metadata"))));
            case "image":
                UniSemClient.Picture picture = space.image(text(command, "id"),
                        UniSemClient.Size.valueOf(text(command, "size").toUpperCase(Locale.ROOT)));
                return List.of(Base64.getEncoder().encodeToString(picture.bytes()), picture.mimeType(),
                        picture.extension());
            case "stats":
                return space.stats();
            case "fields":
                return space.fields();
            case "embed_texts":
                return floats(client.embedTexts(strings(command.get("texts")),
                        UniSemClient.Role.valueOf(text(command, "role").toUpperCase(Locale.ROOT))));
            case "embed_images":
                return floats(client.embedImages(strings(command.get("images")).stream().map(Driver::image).toList()));
            case "rerank":
                return client.rerank(text(command, "query"), strings(command.get("documents")),
                        ((Long) command.get("top")).intValue()).stream()
                        .map(ranked -> List.of(ranked.index(), ranked.score())).toList();
            default:
                throw new IllegalStateException(text(command, "do"));
        }
    }

    private void connect(Map<String, Object> command) {
        UniSemClient.Builder builder = UniSemClient.builder(text(command, "url"));
        if (command.get("token") != null) {
            builder.token(text(command, "token"));
        }
        if (command.get("models") != null) {
            List<String> models = strings(command.get("models"));
            builder.encoder(models.get(0)).reranker(models.get(1));
        }
        if (command.get("timeout") != null) {
            builder.timeout(Duration.ofMillis((Long) command.get("timeout")));
        }
        if (command.get("retries") != null) {
            builder.retries(((Long) command.get("retries")).intValue());
        }
        if (command.get("connections") != null) {
            builder.connections(((Long) command.get("connections")).intValue());
        }
        if (command.get("most") != null) {
            builder.maxAnswerBytes((Long) command.get("most"));
        }
        client = builder.build();
        space = client.space(command.get("space") == null ? "cards" : text(command, "space"));
    }

    /** What was read, written again; or why nothing was. */
    private static Object json(byte[] bytes) {
        try {
            return UniSemClient.Json.write(UniSemClient.Json.read(bytes));
        } catch (UniSemClient.Json.Malformed error) {
            return List.of(error.getMessage());
        }
    }

    /** Asks the texts over and over from many threads with one client; the ids found, by text. */
    private Object searchOften(Map<String, Object> command) throws Exception {
        List<String> texts = strings(command.get("texts"));
        int calls = ((Long) command.get("calls")).intValue();
        ExecutorService threads = Executors.newFixedThreadPool(((Long) command.get("threads")).intValue());
        try {
            List<Callable<List<String>>> work = new ArrayList<>();
            for (int call = 0; call < calls; call++) {
                String text = texts.get(call % texts.size());
                work.add(() -> space.search(UniSemClient.Query.text(text).k(3)).stream()
                        .map(hit -> hit.record().id()).toList());
            }
            List<Object> found = new ArrayList<>();
            for (Future<List<String>> future : threads.invokeAll(work)) {
                found.add(future.get());
            }
            return found;
        } finally {
            threads.shutdown();
        }
    }

    /** What a thread throws that is interrupted while it waits, and whether it is told afterwards. */
    private Object searchInterrupted() throws Exception {
        List<Object> seen = new ArrayList<>();
        Thread thread = new Thread(() -> {
            try {
                space.search(UniSemClient.Query.text("a"));
            } catch (UniSemClient.UniSemException error) {
                seen.add(error.getCause().getClass().getSimpleName());
            }
            seen.add(Thread.currentThread().isInterrupted());
        });
        thread.start();
        thread.interrupt();
        thread.join();
        return seen;
    }

    private static UniSemClient.Query query(Map<String, Object> asked) {
        UniSemClient.Query query = null;
        for (Iterator<Map.Entry<String, Object>> parts = asked.entrySet().iterator(); parts.hasNext();) {
            Map.Entry<String, Object> part = parts.next();
            Object value = part.getValue();
            switch (part.getKey()) {
                case "text" -> query = UniSemClient.Query.text((String) value);
                case "image" -> query = query == null ? UniSemClient.Query.image(image((String) value))
                        : UniSemClient.Query.of((String) asked.get("text"), image((String) value));
                case "like" -> query = UniSemClient.Query.like((String) value);
                case "vector" -> query = UniSemClient.Query.vector(vector(list(value)));
                case "vector_kind" -> query = query.vectorKind(
                        UniSemClient.VectorKind.valueOf(((String) value).toUpperCase(Locale.ROOT)));
                case "k" -> query = query.k(((Long) value).intValue());
                case "text_weight" -> query = query.textWeight((Double) value);
                case "filter" -> query = query.filter(filter(value));
                case "modality" -> query = query.modality(modality(value));
                case "ids" -> query = query.ids(strings(value));
                case "source_ids" -> query = query.sourceIds(strings(value));
                case "match" -> query = query.match(modality(value));
                case "mode" -> query = query.mode(
                        UniSemClient.Mode.valueOf(((String) value).toUpperCase(Locale.ROOT)));
                case "rank_fusion" -> query = query.rankFusion((Double) value);
                case "weighted_fusion" -> query = query.weightedFusion((Double) value);
                case "min_score" -> query = query.minScore((Double) value);
                case "min_relevance" -> query = query.minRelevance((Double) value);
                case "diversity" -> query = query.diversity((Double) value);
                case "rerank" -> query = value instanceof String name ? query.rerank(name) : query.rerank();
                case "search_weight" -> query = query.searchWeight((Double) value);
                case "fetch_k" -> query = query.fetchK(((Long) value).intValue());
                case "fetch_vectors" -> query = query.fetchVectors(((Long) value).intValue());
                case "fetch_words" -> query = query.fetchWords(((Long) value).intValue());
                case "duplicates" -> query = query.duplicates((String) value);
                case "neighbors" -> query = query.neighbors(((Long) value).intValue());
                case "graph" -> query = query.graph(UniSemClient.Expansion.valueOf(
                        ((String) value).toUpperCase(Locale.ROOT)));
                case "deep_graph" -> query = query.graph(UniSemClient.Expansion.valueOf(
                        ((String) value).toUpperCase(Locale.ROOT)), 3);
                default -> throw new IllegalStateException(part.getKey());
            }
        }
        return query;
    }

    /** A condition as it travels, built anew with the client's words. */
    private static UniSemClient.Filter filter(Object tree) {
        if (tree == null) {
            return null;
        }
        Map<String, Object> parts = map(tree);
        if (parts.containsKey("and")) {
            return UniSemClient.Filter.all(filters(parts.get("and")));
        }
        if (parts.containsKey("or")) {
            return UniSemClient.Filter.any(filters(parts.get("or")));
        }
        if (parts.containsKey("not")) {
            return UniSemClient.Filter.not(filter(parts.get("not")));
        }
        UniSemClient.Filter.Field field = UniSemClient.Filter.field(text(parts, "field"));
        Object value = parts.get("value");
        return switch (text(parts, "operator")) {
            case "eq" -> field.eq(value);
            case "ne" -> field.ne(value);
            case "gt" -> field.gt(value);
            case "ge" -> field.ge(value);
            case "lt" -> field.lt(value);
            case "le" -> field.le(value);
            case "in" -> field.in(list(value));
            case "not_in" -> field.notIn(list(value));
            case "any" -> field.containsAny(list(value));
            case "all" -> field.containsAll(list(value));
            case "contains" -> field.contains(value);
            case "text" -> field.text((String) value);
            case "text_insensitive" -> field.textIgnoringCase((String) value);
            case "is_empty" -> field.isEmpty();
            case "exists" -> field.exists();
            default -> throw new IllegalStateException(text(parts, "operator"));
        };
    }

    private static UniSemClient.Filter[] filters(Object trees) {
        return list(trees).stream().map(Driver::filter).toArray(UniSemClient.Filter[]::new);
    }

    private static UniSemClient.NewRecord record(Map<String, Object> parts) {
        String text = (String) parts.get("text");
        String image = (String) parts.get("image");
        UniSemClient.NewRecord record = image == null ? UniSemClient.NewRecord.text(text)
                : text == null ? UniSemClient.NewRecord.image(image(image))
                        : UniSemClient.NewRecord.of(text, image(image));
        if (parts.get("id") != null) {
            record = record.id((String) parts.get("id"));
        }
        if (parts.get("metadata") != null) {
            record = record.metadata(map(parts.get("metadata")));
        }
        if (parts.get("source_id") != null) {
            record = record.sourceId((String) parts.get("source_id"));
        }
        if (parts.get("links") != null) {
            Map<String, String> links = new LinkedHashMap<>();
            map(parts.get("links")).forEach((name, id) -> links.put(name, (String) id));
            record = record.links(links);
        }
        return parts.get("payload") == null ? record : record.payload(map(parts.get("payload")));
    }

    private static List<Object> hits(List<UniSemClient.Hit> hits) {
        List<Object> plain = new ArrayList<>();
        for (UniSemClient.Hit hit : hits) {
            Map<String, Object> parts = new LinkedHashMap<>();
            parts.put("record", plain(hit.record()));
            parts.put("score", hit.score());
            parts.put("matched", hit.matched());
            parts.put("relevance", hit.relevance());
            parts.put("judged", hit.judged());
            parts.put("path", hit.path());
            parts.put("copies", hit.copies().stream().map(Driver::plain).toList());
            plain.add(parts);
        }
        return plain;
    }

    private static Map<String, Object> plain(UniSemClient.StoredRecord record) {
        Map<String, Object> parts = new LinkedHashMap<>();
        parts.put("id", record.id());
        parts.put("text", record.text());
        parts.put("metadata", record.metadata());
        parts.put("source_id", record.sourceId());
        parts.put("links", record.links());
        parts.put("payload", record.payload());
        UniSemClient.ImageInfo image = record.image();
        parts.put("sha256", image == null ? null : image.sha256());
        parts.put("mime_type", image == null ? null : image.mimeType());
        parts.put("size", image == null || image.width() == null ? null : List.of(image.width(), image.height()));
        parts.put("page", image == null || image.region() == null ? null : image.region().page());
        return parts;
    }

    private static List<Object> floats(List<float[]> vectors) {
        List<Object> rows = new ArrayList<>();
        for (float[] vector : vectors) {
            List<Object> row = new ArrayList<>();
            for (float value : vector) {
                row.add(value);
            }
            rows.add(row);
        }
        return rows;
    }

    private static float[] vector(List<?> numbers) {
        float[] vector = new float[numbers.size()];
        for (int i = 0; i < vector.length; i++) {
            vector[i] = ((Number) numbers.get(i)).floatValue();
        }
        return vector;
    }

    private static UniSemClient.Modality modality(Object name) {
        return UniSemClient.Modality.valueOf(((String) name).toUpperCase(Locale.ROOT));
    }

    private static UniSemClient.Image image(String base64) {
        return UniSemClient.Image.of(Base64.getDecoder().decode(base64));
    }

    private static String text(Map<String, Object> parts, String name) {
        return (String) parts.get(name);
    }

    private static List<?> list(Object value) {
        return (List<?>) value;
    }

    private static List<String> strings(Object value) {
        return list(value).stream().map(String.class::cast).toList();
    }

    private static Map<String, Object> map(Object value) {
        Map<String, Object> parts = new LinkedHashMap<>();
        ((Map<?, ?>) value).forEach((name, part) -> parts.put((String) name, part));
        return parts;
    }
}
