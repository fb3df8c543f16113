import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Finds pictures for a sentence: a folder of pictures goes into a space of a UniSem service, and what is
 * asked in words comes back as pictures. Encoder and index are the service's; this needs only the JDK.
 *
 * <pre>
 * javac UniSemClient.java ImageRetrieval.java
 * java ImageRetrieval http://127.0.0.1:8000 photos pictures/ "a dog running in the park" 5
 * </pre>
 */
public final class ImageRetrieval {
    private static final Set<String> ENDINGS = Set.of("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff");
    private static final int BATCH = 16;
    private static final long BATCH_BYTES = 8L << 20;

    private final UniSemClient.Space space;

    public ImageRetrieval(UniSemClient.Space space) {
        this.space = space;
    }

    /** The {@code topK} pictures that a sentence describes best. */
    public List<UniSemClient.Hit> retrieveImages(String query, int topK) {
        return space.search(UniSemClient.Query.text(query).modality(UniSemClient.Modality.IMAGE).k(topK));
    }

    /**
     * Adds all pictures below a folder, with the caption that lies beside each as {@code photo.txt}. One
     * that cannot be used is left out, and costs no other.
     *
     * @return what was left out, and why
     */
    public List<String> indexFolder(Path folder) throws IOException {
        List<String> skipped = new ArrayList<>();
        List<Path> pictures;
        try (Stream<Path> walk = Files.walk(folder)) {
            pictures = walk.filter(Files::isRegularFile).filter(ImageRetrieval::isPicture).sorted().toList();
        }
        List<UniSemClient.NewRecord> batch = new ArrayList<>();
        long bytes = 0;
        for (Path picture : pictures) {
            String id = folder.relativize(picture).toString().replace('\\', '/');
            try {
                byte[] data = Files.readAllBytes(picture);
                if (!batch.isEmpty() && (batch.size() == BATCH || bytes + data.length > BATCH_BYTES)) {
                    add(batch, skipped);
                    bytes = 0;
                }
                batch.add(record(picture, UniSemClient.Image.of(data)).id(id));
                bytes += data.length;
            } catch (IOException error) {
                skipped.add(id + ": cannot be read: " + error);
            }
        }
        add(batch, skipped);
        return skipped;
    }

    /** Adds a batch and empties it; if the service refuses it, each record by itself. */
    private void add(List<UniSemClient.NewRecord> batch, List<String> skipped) {
        List<UniSemClient.NewRecord> records = List.copyOf(batch);
        batch.clear();
        if (records.isEmpty()) {
            return;
        }
        try {
            space.add(records);
        } catch (UniSemClient.UniSemException error) {
            if (error.status() != 413 && error.status() != 422) {
                throw error; // nothing is wrong with the pictures
            }
            if (records.size() == 1) {
                skipped.add(records.get(0).id() + ": " + error.detail());
                return;
            }
            for (UniSemClient.NewRecord record : records) {
                add(new ArrayList<>(List.of(record)), skipped);
            }
        }
    }

    private static UniSemClient.NewRecord record(Path picture, UniSemClient.Image image) throws IOException {
        String name = picture.getFileName().toString();
        Path caption = picture.resolveSibling(name.substring(0, name.lastIndexOf('.')) + ".txt");
        if (!Files.isRegularFile(caption)) {
            return UniSemClient.NewRecord.image(image);
        }
        return UniSemClient.NewRecord.of(Files.readString(caption, StandardCharsets.UTF_8).strip(), image);
    }

    private static boolean isPicture(Path path) {
        String name = path.getFileName().toString().toLowerCase(Locale.ROOT);
        return name.lastIndexOf('.') > 0 && ENDINGS.contains(name.substring(name.lastIndexOf('.') + 1));
    }

    /**
     * Indexes, asks, prints what was found and saves the pictures as {@code found/1.png}, {@code 2.jpeg}, …
     *
     * @param arguments the service's address, the space's name, a folder, a sentence, how many
     */
    public static void main(String[] arguments) throws IOException {
        if (arguments.length != 5) {
            System.err.println("usage: java ImageRetrieval URL SPACE FOLDER QUERY TOP_K");
            System.exit(2);
        }
        UniSemClient.Builder settings = UniSemClient.builder(arguments[0]);
        String token = System.getenv("UNISEM_TOKEN");
        UniSemClient client = (token == null ? settings : settings.token(token)).build();
        UniSemClient.Space space = client.space(arguments[1]);
        ImageRetrieval retrieval = new ImageRetrieval(space);

        for (String reason : retrieval.indexFolder(Path.of(arguments[2]))) {
            System.err.println("skipped " + reason);
        }
        Path found = Files.createDirectories(Path.of("found"));
        int rank = 0;
        for (UniSemClient.Hit hit : retrieval.retrieveImages(arguments[3], Integer.parseInt(arguments[4]))) {
            rank++;
            UniSemClient.StoredRecord record = hit.record();
            UniSemClient.Picture picture = space.image(record.id(), UniSemClient.Size.ORIGINAL);
            Path file = found.resolve(rank + "." + picture.extension());
            Files.write(file, picture.bytes());
            System.out.printf(Locale.ROOT, "%d  %.4f  %s  %s  -> %s%n", rank, hit.score(), record.id(),
                    record.text() == null ? "" : record.text().replaceAll("\\s+", " "), file);
        }
    }
}
